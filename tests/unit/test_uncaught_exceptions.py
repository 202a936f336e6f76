"""What nobody catches, in any thread, is one line of JSON with its stack."""

import json
import subprocess
import sys

import pytest

START = "from shop_api.kernel.logs import configure_logging; configure_logging('kind', 'INFO')\n"
IN_MAIN = START + "int('word')"
IN_THREAD = START + "import threading; threading.Thread(target=int, args=['word']).start()"


@pytest.mark.parametrize(("script", "code"), [(IN_MAIN, 1), (IN_THREAD, 0)], ids=["main", "thread"])
def test_it_is_one_line_with_its_stack(script: str, code: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == code
    line = json.loads(ended.stderr)
    assert (line["level"], line["process"]) == ("critical", "kind")
    assert "Traceback" in line["exception"]
    assert "invalid literal" in line["exception"]
