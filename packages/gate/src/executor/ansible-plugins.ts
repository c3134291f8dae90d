/*
 * What is handed to ansible-playbook besides its configuration: three plugins, each a file of its own. They tell the executor
 * by lines of JSON in the file that `DROVER_TOLD` names.
 */

/** The action of that name which Zuul has: its data goes to the build's result. */
const ZUUL_RETURN = `import json
import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    _VALID_ARGS = frozenset(["data", "secret_data", "file", "secret_file", "path"])

    def run(self, tmp=None, task_vars=None):
        results = super().run(tmp, task_vars)
        args = self._task.args
        for name, file in (("data", "file"), ("secret_data", "secret_file")):
            for value in (self._read(args.get(file)), args.get(name)):
                if value is None:
                    continue
                if not isinstance(value, dict):
                    raise AnsibleActionFail("zuul_return: %s is a dictionary" % name)
                with open(os.environ["DROVER_TOLD"], "a") as told:
                    told.write(json.dumps({name: value}) + "\\n")
        results["changed"] = True
        return results

    def _read(self, path):
        if path is None:
            return None
        with open(self._loader.path_dwim(path)) as file:
            return json.load(file)
`;

/** What is written to the log, and what the executor has to know of how a playbook went. */
const CALLBACK = `import json
import os

from ansible.plugins.callback.default import CallbackModule as Default

DOCUMENTATION = """
    name: drover
    type: stdout
    short_description: Output of a build
    description: The default output, with that of commands
    extends_documentation_fragment:
      - default_callback
      - result_format_callback
"""

COMMANDS = ("command", "shell", "script", "raw", "expect")


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "drover"

    def v2_runner_on_ok(self, result):
        super().v2_runner_on_ok(result)
        if not result._task.loop:
            self._show(result)

    def v2_runner_item_on_ok(self, result):
        super().v2_runner_item_on_ok(result)
        self._show(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        super().v2_runner_on_failed(result, ignore_errors=ignore_errors)
        if not result._task.loop:
            self._show(result)

    def v2_runner_item_on_failed(self, result):
        super().v2_runner_item_on_failed(result)
        self._show(result)

    def v2_runner_on_unreachable(self, result):
        super().v2_runner_on_unreachable(result)
        if not result._task.ignore_unreachable:
            self._tell({"unreachable": result._host.get_name()})

    def v2_playbook_on_no_hosts_matched(self):
        super().v2_playbook_on_no_hosts_matched()
        self._tell({"no_hosts": self._play.get_name() if self._play else ""})

    def _show(self, result):
        if result._task.action.split(".")[-1] not in COMMANDS:
            return
        if result._task.no_log or result._result.get("_ansible_no_log"):
            return
        for name in ("stdout", "stderr"):
            text = result._result.get(name)
            if isinstance(text, str) and text.strip():
                self._display.display(text.rstrip("\\n"))

    def _tell(self, fact):
        with open(os.environ["DROVER_TOLD"], "a") as told:
            told.write(json.dumps(fact) + "\\n")
`;

/** A node that is this machine: relative paths begin in the workspace, as they begin in the home of a node of Zuul's. */
const CONNECTION = `import os

from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
    name: drover
    short_description: This machine as a node
    description: Commands begin in the workspace of the build
    extends_documentation_fragment:
      - connection_pipelining
"""


class Connection(Local):
    @property
    def cwd(self):
        return os.environ["DROVER_WORKSPACE"]

    @cwd.setter
    def cwd(self, value):
        pass
`;

/** By path below the folder of the plugins. */
export const PLUGINS: Readonly<Record<string, string>> = {
  "action/zuul_return.py": ZUUL_RETURN,
  "callback/drover.py": CALLBACK,
  "connection/drover.py": CONNECTION,
};
