"""Goal: create makes one empty store where there is room for one, and touches nothing else."""
from support import CommandLineTest


class Create(CommandLineTest):
    def test_success(self):
        self.assertIn("created", self.varve("create", self.store).out)
        self.assertEqual(self.varve("stats", self.store, "--json").json[0]["events"], 0)

    def test_json(self):
        self.assertEqual(self.varve("create", "a", "--json").json, [{"created": "a"}])

    def test_wrong_arguments(self):
        self.usage("create")
        self.usage("create", self.store, "--segment-size-first", "many")
        self.varve("create", self.store, "--segment-size-first", "1", code=1)

    def test_there_is_one(self):
        self.fill()
        self.assertIn("[invalid_argument]", self.varve("create", self.store, code=1).err)
        self.assertEqual(len(self.varve("read", self.store).lines), 3)

    def test_a_file_is_in_the_way(self):
        self.store.write_text("mine")
        self.varve("create", self.store, code=1)
        self.assertEqual(self.store.read_text(), "mine")

    def test_full_output(self):
        self.into_full_output("create", self.store)
