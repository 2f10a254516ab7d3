"""Goal: streams, categories, types and tags list every name with count, first and last position."""
from support import CommandLineTest


class List(CommandLineTest):
    def setUp(self):
        super().setUp()
        self.fill(2)
        self.fill(1, stream="cart-1", kind="CartOpened")

    def listed(self, command, *options):
        return [(line["name"], line["events"], line["first"], line["last"])
                for line in self.varve(command, self.store, "--json", *options).json]

    def test_success(self):
        self.assertEqual(self.listed("streams"), [("cart-1", 1, 3, 3), ("order-42", 2, 1, 2)])
        self.assertEqual(self.listed("categories"), [("cart", 1, 3, 3), ("order", 2, 1, 2)])
        self.assertEqual(self.listed("types"), [("CartOpened", 1, 3, 3), ("OrderPlaced", 2, 1, 2)])
        self.assertEqual(self.listed("tags"), [("customer/7", 3, 1, 3)])

    def test_prefix(self):
        for command, prefix in (("streams", "ord"), ("categories", "ord"), ("types", "Ord"), ("tags", "cust")):
            self.assertEqual(len(self.listed(command, "--prefix", prefix)), 1)
            self.assertEqual(self.listed(command, "--prefix", "zzz"), [])

    def test_pages(self):
        self.assertEqual(self.listed("streams", "--limit", "1"), [("cart-1", 1, 3, 3)])
        self.assertEqual(self.listed("streams", "--after", "cart-1"), [("order-42", 2, 1, 2)])
        self.assertEqual(self.listed("streams", "--after", "order-42"), [])
        self.assertEqual(self.listed("streams", "--limit", "0"), [])
        self.assertEqual(self.listed("types", "--prefix", "Ord", "--after", "A"), [("OrderPlaced", 2, 1, 2)])
        self.varve("append", self.store, input="".join(
            '{"stream":"many-%05d"}\n' % n for n in range(9000)))
        names = [name for name, *_ in self.listed("streams", "--prefix", "many-")]
        self.assertEqual(names, ["many-%05d" % n for n in range(9000)])

    def test_since(self):
        self.assertEqual(self.listed("streams", "--since", "2"), [("cart-1", 1, 3, 3)])
        self.assertEqual(self.listed("types", "--since", "2"), [("CartOpened", 1, 3, 3)])
        self.assertEqual(self.listed("tags", "--since", "1"), [])
        self.assertEqual(self.varve("streams", self.store, "--since", "3").out, "")

    def test_table(self):
        self.assertIn("order-42", self.varve("streams", self.store).lines[2])

    def test_errors(self):
        for command in ("streams", "categories", "types", "tags"):
            self.usage(command)
            self.usage(command, self.store, "--nonsense")
            self.usage(command, self.store, "--since", "-1")
            self.usage(command, self.store, "--after", "")
            self.varve(command, self.folder / "missing", code=1)
            self.into_full_output(command, self.store)
