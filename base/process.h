/* Child processes: started without a shell, with exactly the descriptors named, held by a pidfd. */
#pragma once

#include <sys/types.h>

#include "base/auto.h"
#include "base/bytes.h"

enum { CONFINED_FDS_MAX = 1024 };

struct process_fd { int ours, theirs; }; /* `ours` appears as number `theirs` in the child */

struct process_options {
    const char *const *argv;        /* NULL-terminated; argv[0] is looked up in PATH unless it has a slash */
    const char *const *environment; /* NULL-terminated; NULL inherits ours */
    const struct process_fd *fds;   /* all other descriptors but 0, 1, 2 are closed in the child */
    size_t             n_fds;
    const char        *directory;   /* NULL keeps ours */
    bool               new_group;   /* own process group: terminal signals do not reach it */
    uid_t              user;        /* not 0: become this user and group, without any other group */
    gid_t              group;       /* with `user`: this group instead of the user's own number; 0: that */
    bool               confined;    /* no new privileges, no capability ever again, no core file, at most CONFINED_FDS_MAX descriptors */
    bool               dies_with_us; /* SIGKILL when the thread that started it ends */
};

struct process {
    pid_t pid;   /* 0 in the zero state */
    int   pidfd;
};

#define NO_PROCESS ((struct process){ 0, NO_FD })

/* NOT_FOUND when the program does not exist, else OS; `out` then stays untouched. */
FALLIBLE process_start(const struct process_options *options, struct process *out, struct err *err);

/* Waits; TIMEOUT after `timeout_ms` (-1: none). `status` is waitpid's. The process is gone afterwards. */
FALLIBLE process_wait(struct process *p, int timeout_ms, int *status, struct err *err);

/* Exit code as a shell gives it: 128 + signal for a killed process. */
int  process_exit_code(int status);
void process_signal(const struct process *p, int signal_number);
void process_kill(struct process *p); /* SIGKILL and reap; does nothing in the zero state */

/*
 * Runs to the end: feeds `input`, collects at most `most` bytes of standard output into `out` (appended;
 * LIMIT beyond), lets standard error through.
 */
FALLIBLE process_run(const char *const *argv, struct bytes input, size_t most, int timeout_ms, struct buffer *out,
                     int *exit_code, struct err *err);

static inline void auto_process(struct process *p) { process_kill(p); }
