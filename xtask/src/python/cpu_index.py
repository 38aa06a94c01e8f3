"""Whether PyTorch's CPU index has a wheel for this Python that is locked: prints its size in bytes, or why not.

Arguments: the index, seconds to wait, the hashes of the lock file. The standard library alone: it runs before there is an
environment. Exit status: 0 with a size, 1 with a reason.
"""

import html
import platform
import re
import signal
import sys
import urllib.parse
import urllib.request

index, seconds, *hashes = sys.argv[1:]
# The look-up of a name cannot be given a time limit: the default action, which ends the process, is one.
signal.alarm(int(seconds))
page = f"{index.rstrip('/')}/torch/"
python = "cp{}{}".format(*sys.version_info)
try:
    with urllib.request.urlopen(page, timeout=int(seconds)) as response:
        base, text = response.url, response.read().decode()
    for reference in re.findall(r'<a\b[^>]*\bhref="([^"]+)"', text):
        wheel, _, digest = urllib.parse.urljoin(base, html.unescape(reference)).partition("#sha256=")
        if digest in hashes and f"-{python}-{python}-" in wheel and platform.machine() in wheel:
            break
    else:
        sys.exit(print(f"it has no wheel for Python {platform.python_version()} that is locked") or 1)
    request = urllib.request.Request(wheel, method="HEAD")
    with urllib.request.urlopen(request, timeout=int(seconds)) as response:
        print(response.headers["Content-Length"])
except (OSError, ValueError) as error:
    sys.exit(print(getattr(error, "reason", None) or error) or 1)
