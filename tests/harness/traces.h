/* Looks through the whole memory of another process, what it freed too, for what it should have wiped. */
#pragma once

#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/test.h"

/* A sanitizer keeps what was freed, and its shadow is larger than all memory: there is nothing to look for then. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

enum { TRACES_REGION_MAX = 1 << 30, TRACES_CHUNK = 1 << 20, TRACES_OVERLAP = 256, TRACES_PIECE = 16 };

static inline bool traces_holds(struct bytes in, struct bytes what)
{
    return in.len >= what.len && memmem(in.at, in.len, what.at, what.len);
}

/* Whether what is sought is in `piece`; a piece overlaps the one before by TRACES_OVERLAP bytes. */
typedef bool traces_fn(void *owner, struct bytes piece);

/* What cannot be read (a guard, a device) is passed by. */
static inline bool traces_in_region(int memory, uint64_t from, uint64_t to, traces_fn *is_in, void *owner)
{
    AUTO(heap) uint8_t *chunk = malloc(TRACES_CHUNK + TRACES_OVERLAP);
    bool                any   = false;

    assert_non_null(chunk);
    for (uint64_t at = from; at < to && !any; at += TRACES_CHUNK) {
        size_t  most = TRACES_CHUNK + TRACES_OVERLAP;
        ssize_t got  = pread(memory, chunk, to - at < most ? (size_t) (to - at) : most, (off_t) at);

        any = got > 0 && is_in(owner, (struct bytes){ chunk, (size_t) got });
    }
    return any;
}

/* Where it was found, as a text; empty when nowhere. False when the system lets nobody look. */
static inline bool traces_search(pid_t pid, traces_fn *is_in, void *owner, struct buffer *found)
{
    AUTO(stream) FILE *maps   = NULL;
    AUTO(fd) int       memory = NO_FD;
    char               path[64], line[PATH_MAX];

    (void) snprintf(path, sizeof path, "/proc/%d/maps", (int) pid); /* fits */
    maps = fopen(path, "re");
    (void) snprintf(path, sizeof path, "/proc/%d/mem", (int) pid); /* fits */
    memory = open(path, O_RDONLY | O_CLOEXEC);
    if (!maps || memory < 0)
        return false;
    while (fgets(line, sizeof line, maps)) {
        unsigned long long from, to;
        char               is_readable;

        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "%llx-%llx %c", &from, &to, &is_readable) == 3 && is_readable == 'r' && to - from <= TRACES_REGION_MAX &&
            traces_in_region(memory, from, to, is_in, owner))
            buffer_printf(found, "%s; ", line);
    }
    return true;
}

/* ---- one secret of a child's ---- */

struct traces_sought {
    struct buffer secret;
    bool          has_mark; /* a text that the child must have: else the search would see nothing */
};

#define TRACES_MARK "a mark that is not wiped: 5d1f0c77"

static inline bool traces_secret_is_in(void *owner, struct bytes piece)
{
    struct traces_sought *sought = owner;

    sought->has_mark |= traces_holds(piece, bytes_of_text(TRACES_MARK));
    for (size_t at = 0; at + TRACES_PIECE <= sought->secret.len; at += TRACES_PIECE) /* freed memory is often overwritten at one end */
        if (traces_holds(piece, (struct bytes){ sought->secret.at + at, TRACES_PIECE }))
            return true;
    return false;
}

/*
 * Runs `work` in a child, which writes its secret to `fd` and then wipes what it has, and looks for pieces of the secret
 * in all that the child's memory still holds. The parent must never have had it. Fails the test when there is one.
 */
static inline void assert_no_traces_of(void (*work)(int fd))
{
    struct traces_sought       sought = { 0 };
    AUTO(buffer) struct buffer found  = { 0 };
    int                        ends[2], status = 0;
    ssize_t                    n      = 0;

    if (IS_SANITIZED)
        skip();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void) close(ends[0]);
        (void) mallopt(M_PERTURB, 0); /* a test's runner may have what is freed overwritten: that is not our wiping */
        work(ends[1]);
        (void) close(ends[1]); /* says that it is done */
        for (;;)
            (void) pause();
    }
    (void) close(ends[1]);
    do {
        sought.secret.len += (size_t) n;
        n = read(ends[0], buffer_extend(&sought.secret, 4096), 4096);
        sought.secret.len -= 4096;
    } while (n > 0);
    (void) close(ends[0]);
    bool could_look = traces_search(child, traces_secret_is_in, &sought, &found);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_true(waitpid(child, &status, 0) == child);
    bool was_told = sought.secret.len >= TRACES_PIECE;
    buffer_free(&sought.secret);
    assert_true(WIFSIGNALED(status) && was_told); /* else an assertion failed in it */
    if (!could_look)
        skip();
    if (found.len > 0)
        fail_msg("a piece of the secret is in %s", buffer_text(&found));
    assert_true(sought.has_mark);
}
