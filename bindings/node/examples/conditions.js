// Decisions that hold when they are stored, although others commit meanwhile: node conditions.js [DIRECTORY]
import EventStore, { OptimisticConcurrencyError } from 'varve';

const SEATS = 2;
const store = new EventStore('courses', { storageDirectory: process.argv[2] ?? './data', typeAccessor: 'type', tagsAccessor: 'tags' });

/**
 * Books a seat. What is decided on are the bookings of one course, in whatever streams they are; the condition lets the commit pass
 * only if no further one has come. `meanwhile` stands for somebody else who commits between the decision and the commit.
 */
function book(course, student, meanwhile = () => {}) {
    for (let attempt = 1; attempt <= 10; ++attempt) {
        const { stream, condition } = store.query({ items: [{ types: ['Booked'], tags: [`course/${course}`] }] });
        if (stream.events.length >= SEATS) return `${student}: ${course} is full`;
        if (attempt === 1) meanwhile();
        try {
            store.commit(`student-${student}`, { type: 'Booked', student, tags: [`course/${course}`, `student/${student}`] }, condition);
            return `${student} has a seat in ${course}, attempt ${attempt}`;
        } catch (error) {
            if (!(error instanceof OptimisticConcurrencyError)) throw error;
            console.log(`${student} decides again: ${error.event.payload.student} came first, with event ${error.position}`);
        }
    }
    return `${student}: too much is going on in ${course}`;
}

console.log(book('chess', 'ann'));
console.log(book('chess', 'bob', () => console.log(book('chess', 'cid'))));
console.log(book('go', 'bob', () => console.log(book('poker', 'ann'))));  // another course is in nobody's way
store.close();
