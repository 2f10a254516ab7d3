// Course subscriptions, the example of the DCB specification (dcb.events): a course has a number of
// seats, a student may take five courses at most. Both rules hold at once, whoever decides at the
// same time, without a lock and without a stream that everybody has to write to.
//
// Every command works the same way:
//   1. read the events that the decision depends on: a query, whose read says up to where it has
//      seen;
//   2. decide from them;
//   3. append what was decided under the condition that nothing more matches the same query behind
//      that place. If something does, the store refuses with `condition_failed`: begin again at 1.
//
// Events of other courses and other students match no query of the command, so they refuse nothing.
#include <cstdint>
#include <iostream>
#include <string>
#include <thread>
#include <varve/varve.hpp>
#include <vector>

namespace {

constexpr std::uint64_t kCoursesPerStudent = 5;

/// A command ends with its event stored, with a rule that speaks against it, or with an error.
enum class Outcome : std::uint8_t { done, refused, failed };

struct Answer {
    Outcome outcome = Outcome::done;
    std::string why;
};

Answer failed(const varve::Error& error) { return {Outcome::failed, error.message}; }

/// Reads, decides, appends, and begins again while others were faster. `decide` gets a snapshot's
/// events one by one; `rule` then says what speaks against the command, or nothing.
template <class Decide, class Rule>
Answer execute(varve::Store& store, const varve::Selector& selector, const varve::NewEvent& event,
               Decide make_decision, Rule rule) {
    constexpr int kTries = 1000;
    for (int n = 0; n < kTries; ++n) {
        auto now = store.snapshot();
        if (!now) return failed(now.error());
        auto decision = make_decision();
        auto seen = now->query(selector).for_each(
            [&](const varve::EventView& known) { decision.apply(known); });
        if (!seen) return failed(seen.error());
        if (std::string why = rule(decision); !why.empty())
            return {Outcome::refused, std::move(why)};
        varve::AppendOptions options;
        options.condition = {.fail_if_match = selector, .after = *seen};
        auto done = store.append(std::span<const varve::NewEvent>(&event, 1), options);
        if (done) return {};
        if (done.error().code != varve::ErrorCode::condition_failed) return failed(done.error());
    }
    return {Outcome::failed, "others were faster a thousand times"};
}

/// What the events say about one course and one student.
struct Enrolment {
    std::string_view course, student;
    bool course_known = false, student_known = false, enrolled = false;
    std::uint64_t seats = 0, taken = 0, courses = 0;

    void apply(const varve::EventView& event) {
        if (event.type == "CourseDefined") course_known = true;
        if (event.type == "StudentRegistered") student_known = true;
        // The data of the two events that give a course its seats is the number, nothing else.
        if (event.type == "CourseDefined" || event.type == "CourseCapacityChanged")
            seats = std::stoull(std::string(event.data));
        if (event.type != "StudentEnrolled") return;
        const bool here = event.tags.contains(course);
        const bool same = event.tags.contains(student);
        if (here) ++taken;
        if (same) ++courses;
        if (here && same) enrolled = true;
    }
    [[nodiscard]] std::string against() const {
        if (!course_known) return "there is no such course";
        if (!student_known) return "there is no such student";
        if (enrolled) return "the student is enrolled already";
        if (taken >= seats) return "the course is full";
        if (courses >= kCoursesPerStudent) return "the student takes five courses already";
        return {};
    }
};

Answer enrol(varve::Store& store, std::string_view student, std::string_view course) {
    // Two items: what happened to the course, or what happened to the student. Each is types (any
    // of them) and tags (all of them).
    const varve::Selector selector = {
        varve::QueryItem{{"CourseDefined", "CourseCapacityChanged", "StudentEnrolled"}, {course}},
        varve::QueryItem{{"StudentRegistered", "StudentEnrolled"}, {student}}};
    varve::NewEvent event{.stream = course, .type = "StudentEnrolled"};
    event.tags.assign({course, student});
    return execute(
        store, selector, event,
        [&] {
            return Enrolment{course, student};
        },
        [](const Enrolment& known) { return known.against(); });
}

/// Whether a name is taken.
struct Taken {
    bool taken = false;
    void apply(const varve::EventView&) { taken = true; }
};

/// Defines a course or registers a student, whose name may be used once.
Answer begin(varve::Store& store, std::string_view name, std::string_view type,
             std::string_view data) {
    const varve::Selector selector = {varve::QueryItem{{type}, {name}}};
    varve::NewEvent event{.stream = name, .type = type, .data = data};
    event.tags.assign({name});
    return execute(
        store, selector, event, [] { return Taken{}; },
        [](const Taken& known) { return known.taken ? std::string("it exists") : std::string(); });
}

Answer define_course(varve::Store& store, std::string_view course, std::uint64_t seats) {
    return begin(store, course, "CourseDefined", std::to_string(seats));
}

Answer register_student(varve::Store& store, std::string_view student) {
    return begin(store, student, "StudentRegistered", {});
}

/// Nobody loses a seat: fewer seats than are taken are refused.
Answer change_capacity(varve::Store& store, std::string_view course, std::uint64_t seats) {
    const varve::Selector selector = {
        varve::QueryItem{{"CourseDefined", "CourseCapacityChanged", "StudentEnrolled"}, {course}}};
    const std::string data = std::to_string(seats);
    varve::NewEvent event{.stream = course, .type = "CourseCapacityChanged", .data = data};
    event.tags.assign({course});
    return execute(
        store, selector, event,
        [&] {
            return Enrolment{course, {}};
        },
        [&](const Enrolment& known) -> std::string {
            if (!known.course_known) return "there is no such course";
            return known.taken > seats ? "more seats are taken" : "";
        });
}

void print(std::string_view what, const Answer& answer) {
    std::cout << what << ": "
              << (answer.outcome == Outcome::done      ? "done"
                  : answer.outcome == Outcome::refused ? "refused, "
                                                       : "failed, ")
              << answer.why << '\n';
}

/// Sixteen students want one of ten seats at the same moment. Returns how many got one, or -1.
int rush(varve::Store& store, std::string_view course) {
    constexpr std::size_t kStudents = 16;
    std::vector<Answer> answers(kStudents);
    std::vector<std::thread> threads;
    for (std::size_t n = 0; n < kStudents; ++n) {
        threads.emplace_back([&, n] {
            const std::string student = "student/rush-" + std::to_string(n);
            answers[n] = register_student(store, student);
            if (answers[n].outcome == Outcome::done) answers[n] = enrol(store, student, course);
        });
    }
    for (std::thread& thread : threads) thread.join();
    int enrolled = 0;
    for (const Answer& answer : answers) {
        if (answer.outcome == Outcome::failed) {
            std::cerr << answer.why << '\n';
            return -1;
        }
        if (answer.outcome == Outcome::done) ++enrolled;
    }
    return enrolled;
}

}  // namespace

int main(int count, char** values) {
    auto store = varve::Store::open(count > 1 ? values[1] : "university");
    if (!store) return std::cerr << store.error().message << '\n', 1;

    print("define algebra with 2 seats", define_course(*store, "course/algebra", 2));
    print("define algebra once more", define_course(*store, "course/algebra", 9));
    for (const char* name : {"student/ann", "student/ben", "student/cem"})
        print(std::string("register ") + name, register_student(*store, name));
    print("ann takes algebra", enrol(*store, "student/ann", "course/algebra"));
    print("ann takes algebra again", enrol(*store, "student/ann", "course/algebra"));
    print("ben takes algebra", enrol(*store, "student/ben", "course/algebra"));
    print("cem takes algebra", enrol(*store, "student/cem", "course/algebra"));
    print("algebra gets 1 seat", change_capacity(*store, "course/algebra", 1));
    print("algebra gets 3 seats", change_capacity(*store, "course/algebra", 3));
    print("cem takes algebra", enrol(*store, "student/cem", "course/algebra"));
    print("dan takes algebra", enrol(*store, "student/dan", "course/algebra"));

    for (int n = 1; n <= 5; ++n) {
        const std::string course = "course/" + std::to_string(n);
        print("define " + course, define_course(*store, course, 10));
        print("ann takes " + course, enrol(*store, "student/ann", course));
    }

    print("define logic with 10 seats", define_course(*store, "course/logic", 10));
    std::cout << "of 16 students at once " << rush(*store, "course/logic") << " got a seat\n";
    auto closed = store->close();
    return closed ? 0 : 1;
}
