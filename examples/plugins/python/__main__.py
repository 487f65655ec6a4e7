"""faultline-plugin-sign closes folders, by a sign in them: a fault, a probe and a kind of
target in Python. `make` packs it with what it needs into one program.
"""

import glob
import os

from faultline_plugin import Fault, Gone, Plugin, Probe


class Close(Fault):
    description = {
        "type": "sign_close",
        "doc": "Closes a folder by a sign.",
        "config": {"attributes": [{"name": "sign", "type": "string", "default": "CLOSED", "doc": "Name of the sign."}]},
        "accepts": [{"interface": "folder"}],
        "hold": "journal",  # when everybody is dead only the journal knows, until recover runs
        "reversibility": "reversible",
        "revert_ms": 1000,
        "concurrency": 1,
    }

    def prepare(self, target, config):
        if not os.path.isdir(target["id"]):
            raise Gone(f"there is no folder {target['id']}")
        sign = os.path.join(target["id"], config.get("sign", "CLOSED"))
        if os.path.exists(sign):
            raise RuntimeError(f"{sign} is there already: somebody else has closed it")
        return {"sign": sign}, "", ["folder:" + target["id"]]

    def inject(self, config, undo, stopped):
        try:
            os.close(os.open(undo["sign"], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileNotFoundError as e:
            raise Gone(str(e)) from e

    def observe(self, config, undo):
        return self.still(undo), "looked for " + undo["sign"]

    def revert(self, undo):
        try:
            os.remove(undo["sign"])
        except FileNotFoundError:
            return "already_gone", "there is no " + undo["sign"]
        return "reverted", "removed " + undo["sign"]

    def still(self, undo):
        return os.path.exists(undo["sign"])


class Open(Probe):
    description = {
        "type": "sign",
        "doc": "Looks whether a folder is open.",
        "config": {"attributes": [{"name": "path", "type": "string", "required": True, "doc": "Path of the sign."}]},
    }

    def open(self, config):
        path = config["path"]
        return lambda: (1, "closed") if os.path.exists(path) else (0, "")


FOLDER = {
    "type": "sign_folder",
    "doc": "A folder.",
    "match": {"attributes": [{"name": "path", "type": "string", "required": True, "doc": "Pattern of the folders' paths."}]},
    "interfaces": ["folder"],
    "attributes": [],
}


def discover(match):
    return [
        {"kind": "sign_folder", "interfaces": ["folder"], "id": path, "name": os.path.basename(path)}
        for path in sorted(glob.glob(match["path"])) if os.path.isdir(path)
    ]


if __name__ == "__main__":
    Plugin(
        "sign", "0.1.0", "Closes folders by a sign, in Python.",
        faults=[Close()], probes=[Open()], targets=[(FOLDER, discover)],
    ).serve()
