// Types of the npm package varve. What is called as in event-storage behaves as there, except where README.md says so.
/// <reference types="node" />
import { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';

/** What is committed: anything that JSON can carry. */
export type Payload = any;

export interface Metadata {
    /** Number of events in the store before the commit: that of its first event, counted from 0. */
    commitId: number;
    /** Milliseconds since 1970, the same for the whole commit. */
    committedAt: number;
    /** Place in the commit, counted from 0. */
    commitVersion: number;
    /** Number of events in the commit. */
    commitSize: number;
    /** Number of events in the stream before this one. */
    streamVersion: number;
    [key: string]: any;
}

export interface EventDocument<P = Payload> {
    stream: string;
    payload: P;
    metadata: Metadata;
}

export interface RawDocument {
    /** JSON of the document. */
    buffer: Buffer;
    /** Microseconds since 1970. */
    time64: number;
    /** Number of the event, counted from 0. */
    sequenceNumber: number;
}

/** What `commit` hands to its callback and to the event `commit`. */
export interface Commit {
    commitId: number;
    committedAt: number;
    streamName: string;
    /** Number of events in the stream before the commit. */
    streamVersion: number;
    events: Payload[];
    [key: string]: any;
}

/** Operators of matchers. A value that is missing satisfies none of them. */
export interface MatcherOperators {
    $gt?: any;
    $gte?: any;
    $lt?: any;
    $lte?: any;
    $eq?: any;
    $ne?: any;
    /** The value is an array that has it. */
    $has?: any;
    /** The value is an array that has one of them. */
    $hasAny?: any[];
}

/** All properties have to hold: a scalar equals, an array holds one of several, operators compare, objects nest. */
export interface ObjectMatcher {
    [key: string]: string | number | boolean | null | undefined | Array<string | number | boolean | null> | MatcherOperators | ObjectMatcher;
}

export type Matcher = ObjectMatcher | ((document: any) => boolean);

/** A function over the payload and the metadata, or a matcher over `{stream, payload, metadata}`. */
export type Predicate = ObjectMatcher | ((payload: any, metadata: Metadata) => boolean);
/** The same in raw mode: a function gets the JSON of the document. */
export type RawPredicate = ObjectMatcher | ((document: Buffer) => boolean);

/** Names of streams; the outermost array is an OR, the next level an AND, and so on in turn. `_all` is everything. */
export type Selector = Array<string | Selector>;

/** Events that match at least one item: one of its types, and all of its tags. */
export interface DcbQuery {
    items: Array<{ types?: string[]; tags?: string[] }>;
}

export const ExpectedVersion: { readonly Any: -1; readonly EmptyStream: 0 };
export const LOCK_RECLAIM: 1;
export const LOCK_THROW: 2;
export const VERSION: string;

/** Fails a commit if an event that it asks for was committed after event number `noneMatchAfter`. */
export class CommitCondition {
    constructor(selector: Selector, matcher?: Predicate | RawPredicate | null, noneMatchAfter?: number, raw?: boolean);
    selector: Selector;
    matcher: Predicate | RawPredicate | null;
    noneMatchAfter: number;
    raw: boolean;
}

/** A stream is not at the expected version, or a condition does not hold any more. */
export class OptimisticConcurrencyError extends Error {
    code: 'wrong_expected_version' | 'condition_failed';
    /** The stream of the wrong version, or that of the event in the way. */
    stream?: string;
    expected?: number;
    version?: number;
    /** Number of the event in the way, counted from 1. */
    position?: number;
    type?: string;
    tags?: string[];
    /** The event in the way. */
    event?: EventDocument;
}

/** Another writer has the store. */
export class StorageLockedError extends Error {
    /** Who has it, for people. */
    holder?: string;
}

export interface StreamIndex {
    readonly name: string;
    readonly length: number;
    isOpen(): boolean;
}

export interface StreamEntry {
    index: StreamIndex;
    matcher?: Matcher;
    /** Nothing is added to it any more. */
    closed?: true;
}

/** Anything an EventStream can read from. */
export interface EventStoreLike {
    streams: { [name: string]: { index: { length: number } } | undefined };
    storage: { readRange(from: number, until: number, index?: any, raw?: boolean): Iterable<any> };
}

/**
 * A range of the events of a stream. Revisions count from 1; negative ones from the end, -1 is the last. Iterating gives payloads,
 * or in raw mode lines of JSON.
 */
export class EventStream<P = Payload> extends Readable {
    constructor(name: string, eventStore: EventStore | EventStoreLike, minRevision?: number, maxRevision?: number,
        predicate?: Predicate | RawPredicate | boolean | null, raw?: boolean);
    readonly name: string;
    /** Number of events up to the upper end of the range; -1 if there is no such stream. */
    version: number;
    minRevision: number;
    maxRevision: number;
    readonly streamIndex: StreamIndex | undefined;
    /** All payloads, read once. */
    readonly events: P[];

    from(revision: number): this;
    until(revision: number): this;
    fromStart(): this;
    fromEnd(): this;
    toStart(): this;
    toEnd(): this;
    first(amount: number): this;
    last(amount: number): this;
    previous(amount: number): this;
    following(amount: number): this;
    forwards(amount?: number): this;
    backwards(amount?: number): this;
    reverse(): this;
    /** Begins anew. */
    reset(): this;
    /** Sets or clears the predicate, and begins anew. */
    where(predicate?: Predicate | RawPredicate | null): this;
    /** @deprecated Use `where`. With options it is that of Readable. */
    filter(predicate: Predicate | RawPredicate): this;
    filter(predicate: (data: any, options?: any) => boolean | Promise<boolean>, options: { concurrency?: number; signal?: AbortSignal }): Readable;
    /** The next document; false at the end. */
    next(): EventDocument<P> | false;
    // Unlike that of Readable it is over when it returns.
    forEach(callback: (payload: P, metadata: any, streamName: string) => any): any;
    [Symbol.iterator](): IterableIterator<P>;
    /** What iterating gives, in arrays of `size`; the last one may have less. */
    batches(size: number): IterableIterator<P[]>;
}

/** The events of a selector in the order of the store; revisions are numbers of events in the store. */
export class JoinEventStream<P = Payload> extends EventStream<P> {
    constructor(name: string, selector: string | Selector, eventStore: EventStore, minRevision?: number, maxRevision?: number,
        predicate?: Predicate | RawPredicate | boolean | null, raw?: boolean);
    readonly selector: string | Selector;
}

export interface Serializer {
    serialize(document: EventDocument): string | { toString(): string };
    deserialize(text: string): EventDocument;
}

export interface StreamSource {
    /** Where in the payload the value is: a string, or an array of strings. */
    path: string;
    /** The name of the stream for a value. */
    nameBuilder: (value: string) => string;
}

export interface EventStoreConfig {
    /** Default `./data`. The store is the directory NAME.varve in it. */
    storageDirectory?: string;
    streamsDirectory?: string;
    readOnly?: boolean;
    /** Where in the payload the type is: each value is a stream. */
    typeAccessor?: string;
    /** Where in the payload an array of tags is: each is a stream `tags/VALUE`. */
    tagsAccessor?: string;
    streamSources?: StreamSource[];
    /** What a commit waits for. Default `os`: every process sees it, it survives the process. `disk`: it survives a power cut. */
    durability?: 'os' | 'interval' | 'disk';
    /** Iteration ends silently where an error comes, as in event-storage. */
    compat?: boolean;
    /** Make a varve store of what event-storage has written there; without it that is opened as it is, read-only. The old files are only read. */
    convert?: boolean;
    /** Metadata of streams, by name: kept when a stream is first written, given to the hooks. */
    streamMetadata?: { [stream: string]: object } | ((stream: string) => object);
    storageConfig?: {
        /** Signs the functions that derived streams are made of. */
        hmacSecret?: string;
        /** The same for all streams, or a function of their names, before `streamMetadata`. */
        metadata?: object | ((stream: string) => object);
        dataDirectory?: string;
        indexDirectory?: string;
        readOnly?: boolean;
        serializer?: Serializer;
        /** The same as `durability: 'disk'`. */
        syncOnFlush?: boolean;
        [option: string]: any;
    };
}

/** Of a call that goes on on another thread. Closing the store ends it with an error whose code is `closed`. */
export interface BackgroundOptions {
    /** Bytes that are done, and what there is in all. What it throws ends the call. */
    progress?: ((done: number, total: number) => void) | null;
    /** Ends the call with its reason. */
    signal?: AbortSignal | null;
}

export interface BackupOptions extends BackgroundOptions {
    /** Finished files become second names of the store's own where the file system can do that: damage to one is damage to both. */
    link?: boolean;
    /** Read the whole backup again when it is written. */
    verify?: boolean;
}

/** A damaged place. */
export interface Damage {
    file: string;
    offset: number;
    /** Bytes that can not be read. */
    length: number;
    /** Numbers of events concerned; 0 if unknown. */
    first: number;
    last: number;
    what: string;
}

export interface VerifyReport {
    complete: boolean;
    events: number;
    commits: number;
    segments: number;
    bytes: number;
    /** Events whose content is gone because it was asked for: no damage. */
    erased: number;
    damaged: Damage[];
    /** Index files, which are made again from the log: nothing is lost. */
    indexesDamaged: Damage[];
    indexesMissing: string[];
}

export interface BackupReport {
    complete: boolean;
    /** Number of the first event that was added; 0: nothing was new. */
    first: number;
    /** Number of the last event in the backup. */
    end: number;
    /** Events that are not durable yet, and not in it. */
    leftOut: number;
    /** Files of the log in the backup, and how many of them are second names. */
    segments: number;
    linked: number;
    copiedBytes: number;
}

/** Sizes in bytes, but for `events`, `segments` and `files`. */
export interface StoreStats {
    events: number;
    segments: number;
    /** Of the log's files, and of them used by commits. */
    segmentBytes: number;
    logBytes: number;
    indexBytes: number;
    consumerBytes: number;
    /** What recoveries have cut off. */
    droppedBytes: number;
    otherBytes: number;
    files: number;
    /** What all files take of the disk. */
    diskBytes: number;
}

export interface EngineStorage extends EventEmitter {
    readonly length: number;
    readonly index: StreamIndex;
    read(number: number, index?: StreamIndex): EventDocument | false;
    readRange(from: number, until?: number, index?: StreamIndex, raw?: false): IterableIterator<EventDocument>;
    readRange(from: number, until: number, index: StreamIndex | undefined, raw: true): IterableIterator<Buffer>;
    /** Makes everything that was committed durable. */
    flush(): boolean;
}

/**
 * The documents of a stream, from where it left off. What a listener of `data` has handled without an error is consumed; its
 * position is stored together with its state.
 */
export class Consumer<S = any> extends Readable {
    /** On files of event-storage its position is kept where event-storage keeps it, in the directory `consumers` beside the indexes. */
    constructor(storage: EngineStorage | Storage | ReadOnlyStorage, indexName: string, identifier: string, initialState?: S | number, startFrom?: number);
    /** `stream-NAME.IDENTIFIER` */
    readonly name: string;
    readonly streamName: string;
    readonly indexName: string;
    readonly identifier: string;
    /** How many documents of the stream were consumed; of all events, the number of the last. */
    readonly position: number;
    readonly state: Readonly<S>;
    start(): void;
    /** Ends it where it is, and leaves it to whoever wants it. */
    stop(): void;
    /** Begins anew behind `startFrom` documents. Durable when it returns. */
    reset(initialState?: S | number, startFrom?: number): void;
    /** Only while a document is handled. `persist: false`: it need not be stored at once. */
    setState(state: S | ((state: Readonly<S>) => S), persist?: boolean): void;

    on(event: 'data', listener: (document: EventDocument) => void): this;
    on(event: 'caught-up', listener: () => void): this;
    /** Position and state are stored; with the JSON of the state. */
    on(event: 'persisted', listener: (state: string) => void): this;
    on(event: 'progress', listener: (position: number, state: S) => void): this;
    on(event: string | symbol, listener: (...args: any[]) => void): this;
}

export interface ConsumerName {
    /** `stream-NAME.IDENTIFIER` */
    name: string;
    stream: string;
    identifier: string;
}

// ---- Files of event-storage. What is called as there behaves as there, except where README.md says so.

declare class IndexEntry extends Array<number> {
    constructor(number: number, position: number, size?: number, partition?: number);
    static readonly size: number;
    static fromBuffer(buffer: Buffer, offset?: number): IndexEntry;
    toBuffer(buffer: Buffer, offset?: number): number;
    /** Of the document in the whole storage, counted from 1. */
    readonly number: number;
    /** Bytes behind the header of the partition. */
    readonly position: number;
    /** Bytes of the document. */
    readonly size: number;
    /** Id of the partition. */
    readonly partition: number;
}

export interface IndexOptions {
    /** Default `.` */
    dataDirectory?: string;
    /** Has the 16 bytes of an entry, the number first. Default `Index.Entry`. */
    EntryClass?: typeof IndexEntry;
    /** What the header says; an index that is there must say the same, byte for byte. */
    metadata?: object;
    /** Bytes of entries that are collected. Default 4096. */
    writeBufferSize?: number;
    /** Milliseconds until they are written nevertheless. Default 100. */
    flushDelay?: number;
    syncOnFlush?: boolean;
    /** Of a new file: `classic` ends where its content ends, `mapped` has zeros and a marker behind it. Others stay as they are. */
    layout?: 'classic' | 'mapped';
}

/** An index that is only read: `append` and `truncate` (length before, length after) tell of what its writer does. Closed by `close`. */
declare class ReadOnlyIndex extends EventEmitter {
    /** @throws if there is no such file */
    constructor(name?: string, options?: IndexOptions);
    readonly name: string;
    readonly fileName: string;
    readonly metadata: any;
    /** Number of entries; 0 while it is closed. */
    readonly length: number;
    readonly lastEntry: IndexEntry | false;
    isOpen(): boolean;
    /** False if it was open. */
    open(): boolean;
    close(): void;
    /** The entry at a place, counted from 1, or from the end; false if there is none. */
    get(place: number): IndexEntry | false;
    /** Both ends inside; false if there is no such range. */
    range(from: number, until?: number): IndexEntry[] | false;
    all(): IndexEntry[];
    validRange(from: number, until: number): boolean;
    /** The last place whose number is at most `number`, or with `min` the first whose number is at least that; 0 if there is none. */
    find(number: number, min?: boolean): number;
    /** Looks at once for what has changed. */
    refresh(): void;
}

/** A file that lists documents, in the order of their numbers. Opened by the constructor. */
export class Index extends EventEmitter {
    static readonly Entry: typeof IndexEntry;
    static readonly ReadOnly: typeof ReadOnlyIndex;
    static readonly HEADER_MAGIC: string;
    static readonly CorruptedIndexError: new (message: string, size?: number) => Error;
    constructor(name?: string, options?: IndexOptions);
    readonly name: string;
    readonly fileName: string;
    readonly metadata: any;
    readonly length: number;
    readonly lastEntry: IndexEntry | false;
    isOpen(): boolean;
    open(): boolean;
    close(): void;
    get(place: number): IndexEntry | false;
    range(from: number, until?: number): IndexEntry[] | false;
    all(): IndexEntry[];
    validRange(from: number, until: number): boolean;
    find(number: number, min?: boolean): number;
    /** Returns the new length; `callback(place)` when the entry is in the file. */
    add(entry: IndexEntry, callback?: (place: number) => void): number;
    /** False if there was nothing to write. */
    flush(): boolean;
    /** Keeps the first `length` entries. */
    truncate(length: number): void;
    /** Closes it and removes the file. */
    destroy(): void;
}

export interface DocumentHeader {
    dataSize: number;
    /** Of the document in the whole storage, counted from 0. */
    sequenceNumber: number;
    /** Microseconds since 1970. */
    time64: number;
}

export interface PartitionOptions {
    /** Default `.` */
    dataDirectory?: string;
    /** Of a new partition; `epoch`, milliseconds since 1970, is now unless it is given. */
    metadata?: object;
    /** Bytes of documents that are collected. Default 16384. */
    writeBufferSize?: number;
    /** The same as a number of documents; 0 is no limit. */
    maxWriteBufferDocuments?: number;
    syncOnFlush?: boolean;
    /** False: what is not flushed can not be read. */
    dirtyReads?: boolean;
    /** Tells microseconds since `epoch`. */
    clock?: new (epoch: number) => { time(): number };
    layout?: 'classic' | 'mapped';
}

/** A partition that is only read: `append` and `truncate` (bytes before, bytes after) tell of what its writer does. */
declare class ReadOnlyPartition extends EventEmitter {
    constructor(name: string, options?: PartitionOptions);
    readonly name: string;
    readonly fileName: string;
    readonly id: number;
    readonly metadata: any;
    /** Bytes of documents. */
    readonly size: number;
    isOpen(): boolean;
    /** False if nobody has begun it. */
    open(): boolean;
    close(): void;
    /** Bytes that a document of so many bytes takes. */
    documentWriteSize(dataSize: number): number;
    /** The document at a position; false at the end. With a size, one of another size is an error. */
    readFrom(position: number, size?: number, headerOut?: Partial<DocumentHeader> | null): Buffer | false;
    readLast(): { header: DocumentHeader; position: number } | null;
    /** The first document whose number is at least that, or without `min` the last whose number is at most that. */
    findDocument(sequenceNumber: number, min?: boolean): { header: DocumentHeader; position: number } | null;
    findDocumentPositionBefore(position: number): number | false;
    readAll(after?: number): IterableIterator<Buffer>;
    readAllBackwards(before?: number): IterableIterator<Buffer>;
    /** By numbers, both ends inside; the object is the same each time. */
    readRange(from: number, until: number): IterableIterator<{ data: Buffer; header: DocumentHeader;
        entry: { number: number; position: number; size: number; partition: number } }>;
    /** Looks at once for what has changed. */
    refresh(): void;
}

/** A file of documents. Opened by `open`. */
export class Partition extends EventEmitter {
    static readonly ReadOnly: typeof ReadOnlyPartition;
    static readonly HEADER_MAGIC: string;
    static readonly CorruptFileError: new (message: string) => Error;
    static readonly InvalidDataSizeError: new (message: string) => Error;
    /** The id that index entries have for a partition of this file name, relative to the data directory. */
    static idFor(name: string): number;
    constructor(name: string, options?: PartitionOptions);
    readonly name: string;
    readonly fileName: string;
    readonly id: number;
    readonly metadata: any;
    readonly size: number;
    isOpen(): boolean;
    open(): boolean;
    close(): void;
    documentWriteSize(dataSize: number): number;
    readFrom(position: number, size?: number, headerOut?: Partial<DocumentHeader> | null): Buffer | false;
    readLast(): { header: DocumentHeader; position: number } | null;
    findDocument(sequenceNumber: number, min?: boolean): { header: DocumentHeader; position: number } | null;
    findDocumentPositionBefore(position: number): number | false;
    readAll(after?: number): IterableIterator<Buffer>;
    readAllBackwards(before?: number): IterableIterator<Buffer>;
    readRange(from: number, until: number): IterableIterator<{ data: Buffer; header: DocumentHeader;
        entry: { number: number; position: number; size: number; partition: number } }>;
    /** Returns the position; `callback` when the document is in the file. */
    write(data: string | Buffer, sequenceNumber?: number, callback?: (() => void) | null): number;
    /** False if there was nothing to write. */
    flush(): boolean;
    /** Cuts off what is behind a position; it is kept in a `.branch` file. */
    truncate(position: number): void;
    /** Keeps the documents whose numbers are at most that. */
    truncateAfterSequence(sequenceNumber: number): void;
}

export interface StorageConfig {
    /** Default `.` */
    dataDirectory?: string;
    /** Default: that of the data. */
    indexDirectory?: string;
    /** Of the primary index. Default NAME.index. */
    indexFile?: string;
    serializer?: { serialize(document: any): string | { toString(): string }; deserialize(text: string): any };
    /** Which partition a document goes to. Default: the one without a name. */
    partitioner?: (document: any, number: number) => string;
    indexOptions?: IndexOptions;
    readBufferSize?: number;
    writeBufferSize?: number;
    maxWriteBufferDocuments?: number;
    syncOnFlush?: boolean;
    dirtyReads?: boolean;
    clock?: PartitionOptions['clock'];
    layout?: 'classic' | 'mapped';
    /** Signs the functions that indexes are made of. */
    hmacSecret?: string;
    /** Of new partitions: for all, or a function of their names. */
    metadata?: object | ((partition: string) => object);
    /** Properties that matchers are found by. Default `['stream', 'payload.type']`. */
    matcherProperties?: string[];
    /** Files open at once. Default 1024; 0 is no limit. */
    maxOpenPartitions?: number;
    maxOpenIndexes?: number;
    lock?: 1 | 2;
}

export interface RawStoredDocument {
    buffer: Buffer;
    /** Microseconds since 1970. */
    time64: number;
    /** Counted from 0. */
    sequenceNumber: number;
}

/** A storage that is only read. While it is open it follows what its writer does: `wrote`, `index-add`, `index-created`, `truncate`, `error`. */
declare class ReadOnlyStorage<D = any> extends EventEmitter {
    /** @throws if there is no such storage */
    constructor(storageName?: string, config?: StorageConfig);
    constructor(config: StorageConfig);
    readonly index: ReadOnlyIndex;
    readonly length: number;
    readonly dataDirectory: string;
    readonly indexDirectory: string;
    readonly partitions: { readonly [id: string]: ReadOnlyPartition };
    readonly secondaryIndexes: { readonly [name: string]: { index: ReadOnlyIndex } };
    open(callback?: () => void): boolean;
    close(): void;
    read(number: number, index?: ReadOnlyIndex | null): D | false;
    readRange(from: number, until?: number, index?: ReadOnlyIndex | false | null, raw?: false): IterableIterator<D>;
    readRange(from: number, until: number, index: ReadOnlyIndex | false | null, raw: true): IterableIterator<RawStoredDocument>;
    openIndex(name: string): ReadOnlyIndex;
    openReadonlyIndex(name: string): ReadOnlyIndex;
    getPartition(identifier: number | string): ReadOnlyPartition;
    indexNames(): string[];
    preRead(hook: (position: number, partitionMetadata: any) => void): void;
    forEachPartition(handler: (partition: ReadOnlyPartition) => void): void;
    forEachDocument(handler: (document: D, entry: { number: number; position: number; size: number; partition: number }) => void, noIndex?: boolean): void;
    /** Looks at once for what has come. */
    refresh(): void;
}

/**
 * Documents in partitions with indexes over them, in the files of event-storage. Reads and writes at once; `open` takes the lock.
 * Events: `opened`, `closed`, `wrote`, `index-add`, `index-created`, `partition-created`, `preCommit`, `preRead`.
 */
export class Storage<D = any> extends EventEmitter {
    static readonly ReadOnly: typeof ReadOnlyStorage;
    static readonly StorageLockedError: typeof StorageLockedError;
    static readonly LOCK_THROW: 2;
    static readonly LOCK_RECLAIM: 1;
    constructor(storageName?: string, config?: StorageConfig);
    constructor(config: StorageConfig);
    readonly index: Index;
    readonly length: number;
    readonly dataDirectory: string;
    readonly indexDirectory: string;
    readonly partitions: { readonly [id: string]: Partition };
    readonly secondaryIndexes: { readonly [name: string]: { index: Index; matcher?: Matcher } };
    /** @throws StorageLockedError */
    open(callback?: () => void): boolean;
    close(): void;
    lock(): boolean;
    unlock(): boolean;
    /** The number of the document; `callback` when it is with the system. */
    write(document: D, callback?: () => void): number;
    /** False if there was nothing to write. */
    flush(): boolean;
    read(number: number, index?: Index | ReadOnlyIndex | null): D | false;
    readRange(from: number, until?: number, index?: Index | ReadOnlyIndex | false | null, raw?: false): IterableIterator<D>;
    readRange(from: number, until: number, index: Index | ReadOnlyIndex | false | null, raw: true): IterableIterator<RawStoredDocument>;
    /** The index of the documents that a matcher takes; made if it is not there. */
    ensureIndex(name: string, matcher?: Matcher, reindex?: boolean): Index;
    openIndex(name: string, matcher?: Matcher): Index;
    /** Of a closed stream: `NAME.closed`. */
    openReadonlyIndex(name: string): ReadOnlyIndex;
    removeSecondaryIndex(name: string): void;
    getPartition(identifier: number | string): Partition;
    indexNames(): string[];
    /** Keeps the first `length` documents; negative: all but so many. */
    truncate(length: number): void;
    /** Makes the indexes anew from the documents, from number `from` + 1 on. */
    reindex(from?: number): void;
    /** Makes files agree after a crash. */
    checkTornWrites(): { anything: boolean; torn: number; dropped: number; unindexed: number; length: number };
    preCommit(hook: (document: D, partitionMetadata: any) => void): void;
    preRead(hook: (position: number, partitionMetadata: any) => void): void;
    forEachPartition(handler: (partition: Partition) => void): void;
    forEachDocument(handler: (document: D, entry: { number: number; position: number; size: number; partition: number }) => void, noIndex?: boolean): void;
    forEachSecondaryIndex(handler: (index: Index, name: string) => void, document?: D): void;
}

export class EventStore extends EventEmitter {
    constructor(storeName?: string, config?: EventStoreConfig);
    constructor(config: EventStoreConfig);

    static readonly VERSION: string;
    static readonly Storage: typeof Storage;
    static readonly Index: typeof Index;
    static readonly ExpectedVersion: typeof ExpectedVersion;
    static readonly OptimisticConcurrencyError: typeof OptimisticConcurrencyError;
    static readonly LOCK_THROW: 2;
    static readonly LOCK_RECLAIM: 1;

    readonly storeName: string;
    readonly storageDirectory: string;
    readonly streamsDirectory: string;
    readonly storage: EngineStorage;
    /** By name; looked up as they are asked for. */
    readonly streams: { readonly [name: string]: StreamEntry | undefined };
    /** Number of events. */
    readonly length: number;
    readonly readOnly: boolean;
    /** Whose files these are: those of `event-storage` are read only. */
    readonly format: 'varve' | 'event-storage';

    /**
     * Commits all events or none. The callback gets the commit in a later turn; errors are thrown.
     * @throws OptimisticConcurrencyError
     */
    commit(streamName: string, events: Payload | Payload[], expectedVersion?: number | CommitCondition, metadata?: object,
        callback?: ((commit: Commit) => void) | null): void;
    commit(streamName: string, events: Payload | Payload[], expectedVersion: number | CommitCondition, callback: (commit: Commit) => void): void;
    commit(streamName: string, events: Payload | Payload[], callback: (commit: Commit) => void): void;
    commit(streamName: string, events: Payload | Payload[], metadata: object, callback?: ((commit: Commit) => void) | null): void;
    /**
     * Commits at once, as `commit` does: readers see it before the promise is kept. With `durability: 'disk'`, or in a store of that
     * level, the promise waits until the commit is on the disk; commits that wait share one sync, on another thread, and closing the
     * store waits for them. Conflicts and all other errors reject the promise. It gives null where there are no events. The first
     * commit after opening prepares the log before it returns, which syncs its files.
     */
    commitAsync(streamName: string, events: Payload | Payload[], expectedVersion?: number | CommitCondition, metadata?: object,
        options?: { durability?: 'os' | 'interval' | 'disk' }): Promise<Commit | null>;
    /** Reads every byte on another thread, and tells what is damaged; changes nothing. Readers can do it as well. */
    verify(options?: BackgroundOptions): Promise<VerifyReport>;
    /**
     * Copies everything into a directory while the store is in use, on another thread: in a reader what the writer has made durable. The
     * directory is missing, empty, or an earlier backup of this store, and then only what is new is copied. Called `NAME.varve`, it can
     * be opened with `readOnly: true`. What was interrupted goes on with the next call.
     */
    backup(directory: string, options?: BackupOptions): Promise<BackupReport>;
    /** How large the store is. Looked up on another thread. */
    stats(): Promise<StoreStats>;

    /** Number of events of a stream; -1 if there is no such stream. */
    getStreamVersion(streamName: string): number;
    getEventStream<P = Payload>(streamName: string, minRevision?: number, maxRevision?: number, predicate?: Predicate | boolean | null,
        raw?: false): EventStream<P> | false;
    getEventStream(streamName: string, minRevision: number | undefined, maxRevision: number | undefined,
        predicate: RawPredicate | null | undefined, raw: true): EventStream<Buffer> | false;
    getAllEvents<P = Payload>(minRevision?: number, maxRevision?: number, predicate?: Predicate | boolean | null, raw?: false): EventStream<P>;
    getAllEvents(minRevision: number | undefined, maxRevision: number | undefined, predicate: RawPredicate | null | undefined, raw: true): EventStream<Buffer>;
    fromStreams<P = Payload>(streamName: string, selector: Selector, minRevision?: number, maxRevision?: number,
        predicate?: Predicate | RawPredicate | boolean | null, raw?: boolean): JoinEventStream<P>;
    /** The streams whose names begin with the category and `-` or `/`, or the stream of that name. */
    getEventStreamForCategory<P = Payload>(category: string, minRevision?: number, maxRevision?: number,
        predicate?: Predicate | RawPredicate | boolean | null, raw?: boolean): EventStream<P>;
    /** The events of a query, and the condition that none of them was committed since. */
    query<P = Payload>(query: Selector | DcbQuery, matcher?: Predicate | RawPredicate | null, minRevision?: number, raw?: boolean):
        { stream: JoinEventStream<P>; condition: CommitCondition };
    /**
     * Makes a stream of all events that satisfy a matcher: those that are there, unless `reindex` is false, and those that come. A
     * function is stored as its text: what it takes from around itself is lost when the store is opened again.
     */
    createEventStream<P = Payload>(streamName: string, matcher: Matcher, reindex?: boolean): EventStream<P> | false;
    /** Takes a stream out of the list; its events stay. A stream that is written to again is there again. */
    deleteEventStream(streamName: string): void;
    /** Nothing is added to the stream from now on. */
    closeEventStream(streamName: string): void;
    /** Before a document is committed; what the hook throws keeps the commit from happening. */
    preCommit(hook: (document: EventDocument, streamMetadata: any) => void): void;
    /** Before a document is handed out; what the hook throws ends the read. */
    preRead(hook: (position: number, streamMetadata: any) => void): void;
    /** The consumer of that identifier, which goes on where it was; a new one begins behind `since` documents. */
    getConsumer<S = any>(streamName: string, identifier: string, initialState?: S | number, since?: number): Consumer<S>;
    /** The one that was last got under this identifier. */
    getConsumer<S = any>(identifier: string): Consumer<S> | null;
    /** All consumers of this store, of whatever process. */
    scanConsumers(callback: (error: Error | null, consumers: ConsumerName[]) => void, autoStart?: boolean): void;
    readonly consumers: Map<string, Consumer>;
    /**
     * Documents behind event number `since` of the store, then those that come, whoever commits them: for `for await`. It ends with
     * the store, or with the error of `signal`.
     */
    follow<P = Payload>(selector?: string | Selector, options?: { since?: number; signal?: AbortSignal | null; raw?: false }):
        AsyncIterable<EventDocument<P>>;
    follow(selector: string | Selector, options: { since?: number; signal?: AbortSignal | null; raw: true }): AsyncIterable<RawDocument>;
    /** Gives up writing. Consumers end; they can be got anew. */
    makeReadOnly(callback?: () => void): void;
    /** Ends everything; streams that were begun throw. */
    close(): void;

    on(event: 'ready', listener: () => void): this;
    on(event: 'commit', listener: (commit: Commit) => void): this;
    on(event: 'stream-available' | 'stream-created' | 'stream-closed' | 'stream-deleted', listener: (name: string) => void): this;
    on(event: string | symbol, listener: (...args: any[]) => void): this;
}

/** Whether a document satisfies a matcher. */
export function matches(document: any, matcher?: Matcher | null): boolean;
/** The same answer for the JSON of a document. */
export function buildRawBufferMatcher(matcher: ObjectMatcher): (document: Buffer) => boolean;

// Of these there are the types alone; the classes are Index.Entry, Index.ReadOnly, Partition.ReadOnly and Storage.ReadOnly.
export type { IndexEntry, ReadOnlyIndex, ReadOnlyPartition, ReadOnlyStorage };
export default EventStore;
