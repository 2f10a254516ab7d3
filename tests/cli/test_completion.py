"""Goal: the completion script completes commands, options and words, in a real shell."""
import subprocess

from support import CommandLineTest


class Completion(CommandLineTest):
    def complete(self, *words):
        script = self.varve("completion", "bash").out
        quoted = " ".join(f"'{word}'" for word in words)
        program = f"{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _varve; echo \"${{COMPREPLY[*]}}\""
        return subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, cwd=self.folder).stdout.split()

    def test_bash(self):
        self.assertEqual(self.complete("varve", "cr"), ["create"])
        self.assertIn("verify", self.complete("varve", ""))
        self.assertEqual(self.complete("varve", "read", "s", "--ba"), ["--backwards"])
        self.assertEqual(self.complete("varve", "read", "s", "--str"), ["--stream"])
        self.assertEqual(self.complete("varve", "append", "s", "--durability", ""), ["os", "interval", "disk"])
        (self.folder / "shop").mkdir()
        self.assertEqual(self.complete("varve", "read", "sh"), ["shop"])

    def test_zsh(self):
        self.assertIn("bashcompinit", self.varve("completion", "zsh").out)

    def test_wrong_arguments(self):
        self.usage("completion")
        self.usage("completion", "elvish")
        self.into_full_output("completion", "bash")
