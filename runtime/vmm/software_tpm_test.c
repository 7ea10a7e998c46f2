#include "runtime/vmm/software_tpm.h"
#include "tests/harness/test.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"

/* As swtpm sends it: tag, length, code, handle, length of the parameters, TPM2B_PUBLIC (here of 3 bytes), the rest. */
static const uint8_t good[] = { 0x80, 0x02, 0, 0, 0, 25, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 7, 0, 3, 0xa1, 0xa2, 0xa3, 0xee, 0xee };

static bool read_exact(const uint8_t *from, size_t len, struct bytes *ak, struct err *err, uint8_t **block)
{
    *block = exact_copy(from, len);
    return software_tpm_answer_read((struct bytes){ *block, len }, ak, err);
}

static void the_public_area_is_found_in_the_answer(void **state)
{
    AUTO(heap) uint8_t *block = NULL;
    struct bytes        ak    = { 0 };
    struct err          err;

    (void) state;
    assert_true(read_exact(good, sizeof good, &ak, &err, &block));
    assert_int_equal(ak.len, 5);
    assert_memory_equal(ak.at, good + 18, 5);
}

static void every_truncation_is_refused(void **state)
{
    (void) state;
    for (size_t len = 0; len < sizeof good; len++) {
        AUTO(heap) uint8_t *block = NULL;
        struct bytes        ak    = { 0 };
        struct err          err;

        assert_false(read_exact(good, len, &ak, &err, &block));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_null(ak.at);
    }
}

static void one_defect_is_named(void **state)
{
    static const struct { size_t at; uint8_t byte; enum err_kind kind; const char *text; } cases[] = {
        { 1, 0x01, ERR_MALFORMED, "answer of the TPM: tag 0x8001, 25 bytes of 25" },
        { 5, 26, ERR_MALFORMED, "answer of the TPM: tag 0x8002, 26 bytes of 25" },
        { 9, 0x9a, ERR_OS, "answer of the TPM: code 0x9a" },
        { 19, 0, ERR_LIMIT, "answer of the TPM: a public area of 0 bytes" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t             bad[sizeof good];
        AUTO(heap) uint8_t *block = NULL;
        struct bytes        ak    = { 0 };
        struct err          err;

        memcpy(bad, good, sizeof bad);
        bad[cases[i].at] = cases[i].byte;
        assert_false(read_exact(bad, sizeof bad, &ak, &err, &block));
        assert_int_equal(err.kind, cases[i].kind);
        assert_string_equal(err.text, cases[i].text);
    }
}

/* ---- with a real swtpm ---- */

static char *folder;

static void path_of(const char *name, char *out, size_t room)
{
    (void) snprintf(out, room, "%s/tpm/%s", folder, name); /* short names */
}

static void content(const char *name, struct buffer *out)
{
    char       path[256];
    struct err err;

    path_of(name, path, sizeof path);
    if (!file_read(path, 1 << 20, out, &err))
        fail_msg("%s", err.text);
}

static bool make(void)
{
    char       path[256];
    struct err err;

    (void) snprintf(path, sizeof path, "%s/tpm", folder); /* fits */
    if (software_tpm_make(path, &err))
        return true;
    if (err.kind == ERR_NOT_FOUND)
        return false;
    fail_msg("%s", err.text);
    return false;
}

static void an_identity_is_made_once_and_stays(void **state)
{
    AUTO(buffer) struct buffer seeds = { 0 }, ak = { 0 }, seeds_later = { 0 }, ak_later = { 0 };
    struct stat                at;
    char                       path[256];

    (void) state;
    if (!make())
        skip();
    content(TPM_STATE_FILE, &seeds);
    content(TPM_AK_FILE, &ak);
    assert_int_equal(ak.len, 2 + 88); /* TPM2B_PUBLIC of a P-256 key without policy */
    path_of(TPM_STATE_FILE, path, sizeof path);
    assert_int_equal(stat(path, &at), 0);
    assert_int_equal(at.st_mode & 0777, 0600);
    assert_true(make());
    content(TPM_STATE_FILE, &seeds_later);
    content(TPM_AK_FILE, &ak_later);
    assert_true(bytes_equal(buffer_bytes(&seeds), buffer_bytes(&seeds_later)));
    assert_true(bytes_equal(buffer_bytes(&ak), buffer_bytes(&ak_later)));
}

/* One request on swtpm's control channel; CMD_INIT is 2. */
static void ask(int fd, uint32_t command, const uint8_t *more, size_t n_more, uint32_t wanted)
{
    uint8_t       message[16], answer[16];
    struct writer w = writer_over(message, sizeof message);
    struct err    err;

    put_u32be(&w, command);
    put(&w, (struct bytes){ more, n_more });
    assert_true(write_all(fd, writer_bytes(&w), &err));
    ssize_t n = recv(fd, answer, sizeof answer, 0);
    assert_true(n >= 4);
    struct reader r = reader_over((struct bytes){ answer, (size_t) n });
    assert_int_equal(take_u32be(&r), wanted);
}

static void a_vm_gets_a_confined_tpm_whose_state_is_memory(void **state)
{
    static const uint8_t       no_flags[4] = { 0 };
    AUTO(process) struct process tpm = NO_PROCESS;
    AUTO(buffer) struct buffer seeds = { 0 }, seeds_later = { 0 }, status = { 0 };
    int                        ends[2];
    char                       path[256];
    struct err                 err;

    (void) state;
    if (!make())
        skip();
    content(TPM_STATE_FILE, &seeds);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    (void) snprintf(path, sizeof path, "%s/tpm", folder); /* fits */
    if (!software_tpm_start(path, ends[1], STDERR_FILENO, &tpm, &err))
        fail_msg("%s", err.text);
    (void) close(ends[1]);
    ask(ends[0], 2, no_flags, sizeof no_flags, 0);
    (void) snprintf(path, sizeof path, "/proc/%d/status", tpm.pid); /* fits */
    assert_true(file_read(path, 1 << 16, &status, &err));
    assert_non_null(strstr(buffer_text(&status), "\nNoNewPrivs:\t1\n"));
    assert_non_null(strstr(buffer_text(&status), "\nSeccomp:\t2\n"));
    assert_non_null(strstr(buffer_text(&status), "\nCapEff:\t0000000000000000\n"));
    (void) close(ends[0]);
    process_kill(&tpm);
    content(TPM_STATE_FILE, &seeds_later);
    assert_true(bytes_equal(buffer_bytes(&seeds), buffer_bytes(&seeds_later)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_public_area_is_found_in_the_answer),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(one_defect_is_named),
        cmocka_unit_test(an_identity_is_made_once_and_stays),
        cmocka_unit_test(a_vm_gets_a_confined_tpm_whose_state_is_memory),
    };
    struct err err;

    if (!directory_make_temporary("tpm-", &folder, &err))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!directory_remove(folder, &err))
        fprintf(stderr, "%s\n", err.text);
    free(folder);
    return failed;
}
