// Runs a fuzz target over a corpus without a fuzzer: the files given, then as many mutations of
// them as asked for.
//
//   <target>_replay MUTATIONS FILE…
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size);

int main(int count, char** values) {
    if (count < 3) {
        std::fprintf(stderr, "usage: replay MUTATIONS FILE...\n");
        return 2;
    }
    std::size_t mutations = 0;
    std::from_chars(values[1], values[1] + std::strlen(values[1]), mutations);
    std::vector<std::vector<unsigned char>> corpus;
    for (int n = 2; n < count; ++n) {
        std::ifstream file(values[n], std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
        LLVMFuzzerTestOneInput(corpus.back().data(), corpus.back().size());
    }
    std::mt19937_64 random(1);
    for (std::size_t n = 0; n < mutations; ++n) {
        std::vector<unsigned char> input = corpus[random() % corpus.size()];
        for (std::size_t change = random() % 8 + 1; change > 0 && !input.empty(); --change) {
            input[random() % input.size()] = static_cast<unsigned char>(random());
        }
        if (random() % 4 == 0) input.resize(random() % (input.size() + 64));
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    std::printf("%zu inputs, %zu mutations: no crash\n", corpus.size(), mutations);
    return 0;
}
