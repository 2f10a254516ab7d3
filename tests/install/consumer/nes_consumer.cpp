#include <iostream>
#include <varve/nes.hpp>

int main(int, char** values) {
    auto partition = varve::nes::Partition::open(values[1]);
    if (!partition) {
        std::cerr << varve::to_string(partition.error().code) << ": " << partition.error().message
                  << '\n';
        return 1;
    }
    const auto position = partition->write("{}", 0);
    const auto closed = partition->close();
    std::cout << "position " << (position ? *position : 1) << '\n';
    return position && *position == 0 && closed ? 0 : 1;
}
