/* A private PostgreSQL on a UNIX socket in a folder of its own, as an unprivileged user. */
#pragma once

#include <fcntl.h>
#include <glob.h>
#include <libpq-fe.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/process.h"
#include "tests/harness/test.h"

enum { POSTGRES_NOBODY = 65534, POSTGRES_START_S = 120 };

struct test_postgres {
    char          *folder;
    char           url[PATH_MAX];
    struct process process;
};

static inline bool test_postgres_program(const char *name, char path[static PATH_MAX])
{
    char   pattern[128];
    glob_t found;
    bool   is_there;

    (void) snprintf(pattern, sizeof pattern, "/usr/lib/postgresql/*/bin/%s", name); /* fits */
    is_there = glob(pattern, 0, NULL, &found) == 0;
    if (is_there)
        (void) snprintf(path, PATH_MAX, "%s", found.gl_pathv[found.gl_pathc - 1]); /* a cut path does not start */
    globfree(&found);
    return is_there;
}

static inline void test_postgres_run(const char *const *argv)
{
    struct process_options options = { .argv = argv, .user = getuid() == 0 ? POSTGRES_NOBODY : 0, .directory = "/" };
    struct process         p       = NO_PROCESS;
    int                    status  = -1;
    struct err             err;

    if (!process_start(&options, &p, &err) || !process_wait(&p, POSTGRES_START_S * 1000, &status, &err))
        fail_msg("%s: %s", argv[0], err.text);
    assert_int_equal(process_exit_code(status), 0);
}

/* Starts, or starts again. */
static inline void test_postgres_start(struct test_postgres *p)
{
    char       program[PATH_MAX], data[PATH_MAX];
    struct err err;

    assert_true(test_postgres_program("postgres", program));
    (void) snprintf(data, sizeof data, "%s/data", p->folder); /* a cut path does not start */
    const char *argv[] = { program, "-D", data, "-k", p->folder, "-c", "listen_addresses=", "-c", "log_min_messages=panic", NULL };
    struct process_options options = { .argv = argv, .user = getuid() == 0 ? POSTGRES_NOBODY : 0, .directory = "/",
                                       .dies_with_us = true };

    if (!process_start(&options, &p->process, &err))
        fail_msg("%s", err.text);
    for (int i = 0; PQping(p->url) != PQPING_OK; i++) {
        struct timespec pause = { .tv_nsec = 50000000 };

        if (i == POSTGRES_START_S * 20)
            fail_msg("PostgreSQL does not start");
        (void) nanosleep(&pause, NULL); /* a short one does no harm */
    }
}

/* False when PostgreSQL is not installed. */
static inline bool test_postgres_make(struct test_postgres *p)
{
    char       initdb[PATH_MAX], data[PATH_MAX];
    struct err err;

    *p = (struct test_postgres){ .process = NO_PROCESS };
    if (!test_postgres_program("initdb", initdb))
        return false;
    if (!directory_make_temporary("pg-", &p->folder, &err))
        fail_msg("%s", err.text);
    if (getuid() == 0)
        assert_int_equal(chown(p->folder, POSTGRES_NOBODY, POSTGRES_NOBODY), 0);
    (void) snprintf(data, sizeof data, "%s/data", p->folder); /* a cut path does not start */
    (void) snprintf(p->url, sizeof p->url, "postgresql://cloister@/postgres?host=%s", p->folder); /* the same */
    const char *argv[] = { initdb, "-D", data, "-U", "cloister", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync",
                           "--no-instructions", NULL };

    int console = dup(1), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    assert_true(console >= 0 && nowhere >= 0 && fflush(stdout) == 0 && dup2(nowhere, 1) == 1);
    test_postgres_run(argv);
    assert_int_equal(dup2(console, 1), 1);
    (void) close(console);
    (void) close(nowhere);
    test_postgres_start(p);
    return true;
}

/* Ends it as a power cut would its connections: nothing is finished. */
static inline void test_postgres_crash(struct test_postgres *p)
{
    int        status;
    struct err err;

    process_signal(&p->process, SIGQUIT);
    assert_true(process_wait(&p->process, POSTGRES_START_S * 1000, &status, &err));
    p->process = NO_PROCESS;
}

static inline void test_postgres_free(struct test_postgres *p)
{
    struct err err;

    if (p->process.pid > 0)
        test_postgres_crash(p);
    assert_true(directory_remove(p->folder, &err));
    free(p->folder);
}
