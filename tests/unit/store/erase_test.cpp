// Goal: what is erased is gone from the files, says so in every way of reading, and breaks nothing:
// heads, indexes, versions, recovery, verify. Method: simulated stores; bytes looked for in the
// files; readers of other processes; lost and hostile files.
#include "log/erase.hpp"

#include <gtest/gtest.h>

#include "base/crc32c.hpp"
#include "file/manifest.hpp"
#include "file/store_file.hpp"
#include "support/erasing.hpp"

namespace varve::test {
namespace {

TEST(Erase, TakesTheContentAndLeavesTheEvent) {
    os::SimEnv world(1);
    auto store = write(world);
    ASSERT_TRUE(store);
    fill(*store);
    ASSERT_TRUE(is_found(world, "secret"));
    auto erased = store->erase(kSecond);
    ASSERT_TRUE(erased) << erased.error().message;
    EXPECT_EQ(erased->events, 1U);
    EXPECT_EQ(erased->bytes, 22U);
    EXPECT_EQ(erased->record.value, 5U);
    EXPECT_TRUE(erased->done);
    EXPECT_FALSE(is_found(world, "secret"));
    expect_second_erased(*store);
    expect_verified(world, 1);
    auto again = store->append({{.stream = "c", .data = "on"}},
                               {.expected = Expectations{{"b", Expected::version(2)}}});
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->first.value, 6U);
    auto reader = read(world);
    ASSERT_TRUE(reader);
    expect_second_erased(*reader, 5);
}

TEST(Erase, IsIdempotent) {
    os::SimEnv world(1);
    auto store = write(world);
    fill(*store);
    const Position twice[] = {Position{2}, Position{2}};
    ASSERT_TRUE(store->erase(twice));
    auto again = store->erase(twice);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->events, 0U);
    EXPECT_EQ(again->already, 2U);
    EXPECT_EQ(again->record.value, 0U);
    EXPECT_EQ(store->snapshot()->published().value, 5U);
}

TEST(Erase, ByStreamTagAndType) {
    for (const Source source : {Source::stream("b"), Source::tag("x"), Source::type("T")}) {
        os::SimEnv world(1);
        auto store = write(world);
        fill(*store);
        auto would = store->erase(source, {.dry_run = true});
        ASSERT_TRUE(would);
        EXPECT_EQ(would->events, 2U);
        EXPECT_TRUE(is_found(world, "secret"));
        auto erased = store->erase(source);
        ASSERT_TRUE(erased) << erased.error().message;
        EXPECT_EQ(erased->events, would->events);
        EXPECT_EQ(erased->bytes, would->bytes);
        EXPECT_FALSE(is_found(world, "secret"));
        std::uint64_t gone = 0;
        ASSERT_TRUE(store->snapshot()->read(Source::all()).for_each([&](const EventView& event) {
            gone += event.erased ? 1 : 0;
        }));
        EXPECT_EQ(gone, 2U);
        expect_verified(world, 2);
    }
}

TEST(Erase, RefusesWhatIsNoEventAndChangesNothing) {
    os::SimEnv world(1);
    auto store = write(world);
    fill(*store);
    ASSERT_TRUE(store->erase(kSecond));  // position 5 is the store's own now
    for (const std::uint64_t position : {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{6}}) {
        const Position wrong[] = {Position{1}, Position{position}};
        auto refused = store->erase(wrong);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::not_found);
    }
    auto all = store->erase(Source::all());
    ASSERT_FALSE(all);
    EXPECT_EQ(all.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(store->snapshot()->published().value, 5U);
    EXPECT_FALSE(store->snapshot()->at(Position{1})->erased);
    auto reader = read(world);
    auto denied = reader->erase(kSecond);
    ASSERT_FALSE(denied);
    EXPECT_EQ(denied.error().code, ErrorCode::permission);
    EXPECT_TRUE(reader->erase(kSecond, {.dry_run = true}));
    EXPECT_EQ(reader->wait_erased().error().code, ErrorCode::permission);
}

TEST(Erase, AReaderOfAnotherProcessLearnsOfItOnTheWay) {
    os::SimEnv world(1);
    auto store = write(world);
    fill(*store);
    auto reader = read(world);
    ASSERT_TRUE(reader);
    auto before = reader->snapshot();
    auto followed = reader->follow();
    ASSERT_TRUE(followed);
    EXPECT_EQ(before->at(Position{2})->data, "secret data");
    ASSERT_TRUE(store->erase(kSecond));
    EXPECT_TRUE(before->at(Position{2})->erased);
    expect_second_erased(*reader);
    std::uint64_t delivered = 0;
    auto run = followed->next(0);
    ASSERT_TRUE(run) << run.error().message;
    for (const EventView& event : *run) delivered += event.erased ? 100 : 1;
    EXPECT_EQ(delivered, 103U);
}

TEST(Erase, LargeBodiesGiveTheirPagesBack) {
    os::SimEnv world(1);
    auto store = write(world);
    const std::string large(20'000, 's');
    ASSERT_TRUE(store->append({{.stream = "b", .data = large}, {.stream = "b", .data = "next"}}));
    const Position first[] = {Position{1}};
    ASSERT_TRUE(store->erase(first));
    EXPECT_FALSE(is_found(world, "ssss"));
    EXPECT_TRUE(store->snapshot()->at(Position{1})->erased);
    EXPECT_EQ(store->snapshot()->at(Position{2})->data, "next");
}

TEST(Erase, ManyPositionsTakeSeveralRecords) {
    os::SimEnv world(1);
    auto store = write(world);
    constexpr std::size_t kEvents = 2 * log::kMaxEraseRanges + 10;
    for (std::size_t n = 0; n < 4; ++n) {
        std::vector<NewEvent> events(kEvents / 2, NewEvent{.data = "gone"});
        ASSERT_TRUE(store->append(events));
    }
    std::vector<Position> odd;
    for (std::uint64_t n = 1; n <= 2 * kEvents; n += 2) odd.push_back(Position{n});
    auto erased = store->erase(odd);
    ASSERT_TRUE(erased) << erased.error().message;
    EXPECT_EQ(erased->events, odd.size());
    EXPECT_EQ(store->snapshot()->published().value, 2 * kEvents + 3);
    ASSERT_TRUE(store->close());
    auto reader = read(world);
    std::uint64_t wrong = 0;
    ASSERT_TRUE(reader->snapshot()->read(Source::all()).for_each([&](const EventView& event) {
        wrong += event.erased != (event.position.value % 2 == 1) ? 1 : 0;
    }));
    EXPECT_EQ(wrong, 0U);
    expect_verified(world, odd.size());
}

TEST(Erase, AnEmptyBodyAndOneOfZerosAreErasedToo) {
    os::SimEnv world(1);
    auto store = write(world);
    const std::string zeros(40, '\0');
    ASSERT_TRUE(store->append({{.stream = "s"}, {.data = zeros}, {.data = zeros}}));
    const Position two[] = {Position{1}, Position{2}};
    ASSERT_TRUE(store->erase(two));
    auto snapshot = store->snapshot();
    EXPECT_TRUE(snapshot->at(Position{1})->data.empty());
    EXPECT_TRUE(snapshot->at(Position{2})->erased);
    EXPECT_FALSE(snapshot->at(Position{3})->erased);
    EXPECT_EQ(snapshot->at(Position{3})->data, zeros);
    expect_verified(world, 0);  // their checksums still hold
}

TEST(Erase, SurvivesACloseAKillAndAPowerCut) {
    os::SimEnv world(1);
    auto store = write(world);
    fill(*store);
    ASSERT_TRUE(store->erase(kSecond));
    std::vector<std::unique_ptr<os::SimEnv>> images;
    images.push_back(world.kill(2));
    images.push_back(world.power_cut(3, {os::SimCut::Style::nothing, 0}));
    images.push_back(world.power_cut(4, {os::SimCut::Style::everything, 0}));
    ASSERT_TRUE(store->close());
    images.push_back(world.kill(5));
    for (const auto& image : images) {
        EXPECT_FALSE(is_found(*image, "secret"));
        auto reader = read(*image);
        ASSERT_TRUE(reader);
        expect_second_erased(*reader);
        expect_verified(*image, 1);
        auto writer = write(*image);
        ASSERT_TRUE(writer) << writer.error().message;
        EXPECT_EQ(writer->opening().dropped_events, 0U);
        expect_second_erased(*writer);
    }
}

TEST(Erase, WithoutWaitingItIsFinishedLater) {
    os::SimEnv world(1);
    auto store = write(world);
    fill(*store);
    auto decided = store->erase(kSecond, {.wait = false});
    ASSERT_TRUE(decided);
    ASSERT_TRUE(store->wait_erased());
    EXPECT_FALSE(is_found(world, "secret"));
}

/// Images at each step of an erasure, power cuts and kills.
TEST(Erase, NoMomentOfItIsDangerous) {
    for (const std::uint64_t seed : {1ULL, 2ULL, 3ULL}) {
        os::SimEnv world(seed);
        auto store = write(world);
        fill(*store);
        std::uint64_t images = 0;
        bool acknowledged = false;
        const auto check = [&](std::unique_ptr<os::SimEnv> image, const char* what) {
            ++images;
            SCOPED_TRACE(std::string(what) + " " + std::to_string(images));
            const bool was_found = is_found(*image, "secret data");
            EXPECT_FALSE(acknowledged && was_found);
            expect_verified(*image, Store::verify("store", options_for(*image))->erased);
            auto writer = write(*image);
            ASSERT_TRUE(writer) << writer.error().message;
            auto snapshot = writer->snapshot();
            ASSERT_GE(snapshot->published().value, 4U);
            const EventView second = *snapshot->at(Position{2});
            EXPECT_TRUE(second.erased || second.data == "secret data");
            if (!was_found) {
                EXPECT_TRUE(second.erased);
            }
            if (second.erased) {
                EXPECT_FALSE(is_found(*image, "secret"));
            }
            EXPECT_EQ(snapshot->at(Position{1})->data, "first");
            EXPECT_EQ(snapshot->at(Position{3})->data, "third");
            EXPECT_EQ(snapshot->at(Position{4})->data, "fourth");
        };
        world.on_step([&] {
            check(world.kill(seed), "kill");
            for (std::uint64_t n = 0; n < 3; ++n)
                check(world.power_cut(seed + n, {os::SimCut::Style::mixed, 0}), "cut");
        });
        ASSERT_TRUE(store->erase(kSecond));
        acknowledged = true;
        world.on_step({});
        check(world.power_cut(seed, {os::SimCut::Style::nothing, 0}), "after");
        EXPECT_GT(images, 40U);
    }
}

/// The manifest is lost: the log is read from its beginning, over bodies that are zeros.
TEST(Erase, ALostManifestIsNoDamage) {
    for (const bool power_cut : {false, true}) {
        os::SimEnv world(1);
        auto store = write(world);
        fill(*store);
        ASSERT_TRUE(store->erase(kSecond));
        ASSERT_TRUE(store->close());
        auto image =
            power_cut ? world.power_cut(2, {os::SimCut::Style::nothing, 0}) : world.kill(2);
        ASSERT_TRUE(image->remove("store/manifest"));
        {
            auto reader = read(*image);
            ASSERT_TRUE(reader) << reader.error().message;
            expect_second_erased(*reader);
            expect_verified(*image, 1, "store/manifest");
        }
        {
            auto writer = write(*image);
            ASSERT_TRUE(writer) << writer.error().message;
            expect_second_erased(*writer);
            const Position first[] = {Position{1}};
            ASSERT_TRUE(writer->erase(first));
            ASSERT_TRUE(writer->close());
        }
        expect_verified(*image, 2);
        auto reader = read(*image);
        EXPECT_TRUE(reader->snapshot()->at(Position{1})->erased);
        EXPECT_TRUE(reader->snapshot()->at(Position{2})->erased);
    }
}

/// A manifest changed by somebody names an erase record where there is none.
TEST(Erase, AManifestThatPointsNowhereMisleadsNobody) {
    for (const file::EntryKind kind : {file::EntryKind::erasing, file::EntryKind::erased}) {
        for (const std::uint64_t position :
             {std::uint64_t{1}, std::uint64_t{900}, ~std::uint64_t{0}}) {
            os::SimEnv world(1);
            auto store = write(world);
            fill(*store);
            ASSERT_TRUE(store->erase(kSecond));
            ASSERT_TRUE(store->close());
            auto image = world.kill(2);
            const auto raw = bytes_of(*image, "store/varve");
            const auto uuid = file::decode_store_file(raw, "varve")->uuid;
            {
                auto manifest = file::Manifest::open(
                    *image, "store", base::crc32c(0x4D414E49, base::Bytes{uuid}), 0600);
                ASSERT_TRUE(manifest);
                file::ManifestEntry entry;
                entry.kind = static_cast<std::uint32_t>(kind);
                entry.epoch = 1;
                entry.position = position;
                entry.segment = 1;
                entry.offset = 4096 + 64;
                ASSERT_TRUE(manifest->add(entry, true));
            }
            auto reader = read(*image);
            expect_second_erased(*reader);
            auto writer = write(*image);
            ASSERT_TRUE(writer) << writer.error().message;
            expect_second_erased(*writer);
            const Position fourth[] = {Position{4}};
            ASSERT_TRUE(writer->erase(fourth));
            EXPECT_TRUE(writer->snapshot()->at(Position{4})->erased);
            ASSERT_TRUE(writer->close());
            auto again = read(*image);
            EXPECT_TRUE(again->snapshot()->at(Position{2})->erased);
            EXPECT_TRUE(again->snapshot()->at(Position{4})->erased);
            EXPECT_FALSE(again->snapshot()->at(Position{1})->erased);
        }
    }
}

/// Zeros where nobody erased stay damage, with and without a manifest.
TEST(Erase, ZerosThatNobodyAskedForAreDamage) {
    for (const bool lose_manifest : {false, true}) {
        os::SimEnv world(1);
        auto store = write(world);
        fill(*store);
        ASSERT_TRUE(store->erase(kSecond));
        ASSERT_TRUE(store->close());
        auto image = world.power_cut(2, {os::SimCut::Style::nothing, 0});
        const std::string path = "store/log/0000000001.seg";
        const std::size_t at = base::as_text(bytes_of(*image, path)).find("third");
        {
            auto file = image->open(path, os::OpenMode::read_write, 0600);
            const std::array<std::byte, 5> zeros{};
            ASSERT_TRUE((*file)->write_at(at, zeros));
            ASSERT_TRUE((*file)->sync());
        }
        if (lose_manifest) {
            ASSERT_TRUE(image->remove("store/manifest"));
        }
        auto report = Store::verify("store", options_for(*image));
        ASSERT_TRUE(report);
        EXPECT_FALSE(report->damaged.empty());
        auto reader = read(*image);
        ASSERT_TRUE(reader) << reader.error().message;
        auto third = reader->snapshot()->at(Position{3});
        ASSERT_FALSE(third);
        EXPECT_EQ(third.error().code, ErrorCode::corrupt);
        EXPECT_TRUE(reader->snapshot()->at(Position{2})->erased);
    }
}

}  // namespace
}  // namespace varve::test
