#include "guest/agent/resting.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/file.h"

enum exit_code { RESTS, IS_OVER = 3 }; /* anything else: it failed */

/* Pages of their own: never a part of the heap, which keeps copies where things grew. */
struct held {
    uint8_t *at; /* NULL: nothing */
    size_t   len;
};

static void forget(struct held *h)
{
    if (h->at) {
        explicit_bzero(h->at, h->len);
        (void) munmap(h->at, h->len); /* mapped with this length */
    }
    *h = (struct held){ 0 };
}
static inline void auto_held(struct held *h) { forget(h); }

static FALLIBLE read_whole(int fd, uint8_t *at, size_t len, struct err *err)
{
    while (len > 0) {
        ssize_t n = read(fd, at, len);

        if (n < 0 && errno != EINTR)
            return err_os(err, "read what is to be held");
        if (n == 0)
            return fail_with(err, ERR_BUG, "it ended with %zu bytes unsaid", len);
        if (n > 0) {
            at += n;
            len -= (size_t) n;
        }
    }
    return true;
}

/* The length, then the bytes. */
static FALLIBLE hold(int fd, struct held *h, struct err *err)
{
    uint64_t len[1];

    forget(h);
    if (!read_whole(fd, (uint8_t *) len, sizeof len, err))
        return false;
    if (len[0] == 0)
        return true;
    if (len[0] > RESTING_HELD_MAX)
        return fail_with(err, ERR_LIMIT, "%llu bytes are to be held", (unsigned long long) len[0]);
    void *at = mmap(NULL, (size_t) len[0], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return err_os(err, "hold %llu bytes", (unsigned long long) len[0]);
    *h = (struct held){ at, (size_t) len[0] };
    (void) !mlock(at, h->len); /* where little may be locked: wiped all the same, as secrets are */
    (void) madvise(at, h->len, MADV_DONTDUMP);
    return read_whole(fd, h->at, h->len, err);
}

/* Its copy of what is held goes with its memory. */
static void __attribute__((noreturn)) wake(int out_fd, const struct held *held, awake_fn *awake, void *owner)
{
    struct buffer left   = { 0 };
    bool          rests  = awake(owner, (struct bytes){ held->at, held->len }, &left);
    uint64_t      len[1] = { left.len };
    struct err    ignored; /* who waits for it sees that it is not whole */
    bool          is_said = rests && write_all(out_fd, BYTES_OF(len), &ignored) && write_all(out_fd, buffer_bytes(&left), &ignored);

    if (left.len > 0)
        explicit_bzero(left.at, left.len);
    _exit(!rests ? IS_OVER : is_said ? RESTS : 1);
}

static FALLIBLE wait_for(pid_t pid, int *status, struct err *err)
{
    while (waitpid(pid, status, 0) < 0)
        if (errno != EINTR)
            return err_os(err, "wait for the one that is awake");
    return true;
}

/* Once: from waking to rest, or to the end of all. */
static FALLIBLE wake_once(struct held *h, awake_fn *awake, void *owner, bool *is_over, struct err *err)
{
    AUTO(fd) int ours = NO_FD, theirs = NO_FD;
    int          ends[2], status;
    struct err   unsaid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_os(err, "wake");
    ours      = ends[0];
    theirs    = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return err_os(err, "wake");
    if (pid == 0) {
        (void) close(ours); /* so that only who waits for it reads there */
        wake(theirs, h, awake, owner);
    }
    (void) close(TAKE_FD(theirs)); /* of a pipe: nothing can be lost */
    bool is_held = hold(ours, h, &unsaid);
    (void) close(TAKE_FD(ours)); /* one that still says what is not held ends */
    if (!wait_for(pid, &status, err))
        return false;
    *is_over = WIFEXITED(status) && WEXITSTATUS(status) == IS_OVER;
    if (*is_over || (is_held && WIFEXITED(status) && WEXITSTATUS(status) == RESTS))
        return true;
    if (!is_held && unsaid.kind != ERR_BUG) {
        *err = unsaid;
        return false;
    }
    return fail_with(err, ERR_BUG, "the one that was awake ended, status %#x", (unsigned) status);
}

FALLIBLE resting_run(int fd, awake_fn *awake, void *owner, struct err *err)
{
    AUTO(held) struct held held    = { 0 };
    bool                   is_over = false;

    while (!is_over) {
        struct pollfd socket = { .fd = fd, .events = POLLIN };

        if (poll(&socket, 1, -1) < 0) {
            if (errno != EINTR)
                return err_os(err, "wait for something to read");
        } else if (!wake_once(&held, awake, owner, &is_over, err)) {
            return false;
        }
    }
    return true;
}
