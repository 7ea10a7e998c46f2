/* Commands of `cloister` that print one JSON object, run inside the test with standard output caught. */
#pragma once

#include <stdio.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/json.h"
#include "tests/harness/test.h"

enum { COMMAND_WORDS_MAX = 24 };

struct outcome {
    int                 code;
    struct json_object *json; /* NULL when none was printed; yours */
};

/* `words` ends with NULL; the first is the command's name. */
static inline struct outcome command_run(int (*command)(int argc, char **argv), const char *const *words)
{
    char                      *argv[COMMAND_WORDS_MAX + 1] = { NULL };
    AUTO(buffer) struct buffer text   = { 0 };
    struct outcome             o      = { 0 };
    AUTO(fd) int               caught = memfd_create("stdout", MFD_CLOEXEC);
    AUTO(fd) int               kept   = dup(STDOUT_FILENO);
    int                        argc   = 0;
    struct err                 err;

    for (; words[argc]; argc++) {
        assert_true(argc < COMMAND_WORDS_MAX);
        argv[argc] = (char *) (uintptr_t) words[argc];
    }
    assert_true(fflush(stdout) == 0 && dup2(caught, STDOUT_FILENO) >= 0);
    o.code = command(argc, argv);
    assert_true(fflush(stdout) == 0 && dup2(kept, STDOUT_FILENO) >= 0);
    assert_int_equal(lseek(caught, 0, SEEK_SET), 0);
    assert_true(file_read_fd(caught, 1 << 20, &text, &err));
    if (text.len > 0 && text.at[0] == '{')
        assert_true(json_read(buffer_bytes(&text), 1 << 20, &o.json, &err));
    return o;
}
