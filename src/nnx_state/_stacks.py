"""The stacks that `faulthandler` writes, in which every character outside of ASCII is an escape."""

import re

_ESCAPE = re.compile(r"\\(?:x[89a-f][0-9a-f]|u[0-9a-f]{4}|U[0-9a-f]{8})")


def unescaped(stack: str) -> str:
    r"""Return a stack with the characters that its escapes stand for.

    ```python
    from nnx_state._stacks import unescaped

    print(unescaped(r"jos\xe9/\u6c34/\U0001f600.py"))
    ```

    ```{.text .output}
    josé/水/😀.py
    ```
    """
    return _ESCAPE.sub(lambda escape: chr(int(escape[0][2:], 16)), stack)
