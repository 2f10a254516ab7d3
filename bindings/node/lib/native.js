// Loads the addon that belongs to this machine.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

function load() {
    const place = `../prebuilds/${process.platform}-${process.arch}/varve.node`;
    try {
        return require(place);
    } catch (error) {
        error.message = `varve has no addon that runs here (${process.platform}-${process.arch}, Node ${process.version}): ${error.message}`;
        throw error;
    }
}

export const { NesIndex, NesPartition, Store, importStorage, repairStorage } = load();
