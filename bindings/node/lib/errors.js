// The errors of the package, and what errors of the store become.

export class OptimisticConcurrencyError extends Error {
    constructor(message, details = {}) {
        super(message);
        this.name = 'OptimisticConcurrencyError';
        Object.assign(this, details);
    }
}

export class StorageLockedError extends Error {
    constructor(message, holder) {
        super(message);
        this.name = 'StorageLockedError';
        if (holder !== undefined) this.holder = holder;
    }
}

export function versionConflict(stream, expected, actual) {
    return new OptimisticConcurrencyError(
        `Optimistic Concurrency error. Expected stream "${stream}" at version ${expected} but is at version ${actual}.`,
        { code: 'wrong_expected_version', stream, expected, version: actual });
}

export function conditionConflict(details) {
    return new OptimisticConcurrencyError(
        'Optimistic Concurrency error. A conflicting event was committed since the condition was obtained.',
        { code: 'condition_failed', ...details });
}

export function invalidArgument(message) {
    const error = new TypeError(message);
    error.code = 'invalid_argument';
    return error;
}
