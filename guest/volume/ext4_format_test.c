#include "tests/harness/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/process.h"
#include "guest/volume/ext4_format.h"

#define MIB (1ULL << 20)

static const uint8_t seed[EXT4_SEED_LEN] = "0123456789abcdef0123456789abcdef";

static int judge(const char *file, struct buffer *said)
{
    const char *const argv[]    = { "/sbin/e2fsck", "-f", "-n", file, NULL };
    int               exit_code = -1;
    struct err        err;

    assert_true(process_run(argv, (struct bytes){ 0 }, 1 << 16, 120000, said, &exit_code, &err));
    return exit_code;
}

/* A file that is not zeros where nothing was written, as a disk of dm-integrity is not. */
static void e2fsck_finds_nothing_at_any_size(void **state)
{
    static const uint64_t sizes[] = { EXT4_LEN_MIN, EXT4_LEN_MIN + 12288, 64 * MIB, 127 * MIB, 128 * MIB, 129 * MIB, 131 * MIB,
                                      256 * MIB + 4096, 511 * MIB, 512 * MIB, 1300 * MIB };
    AUTO(text) char *folder = NULL;
    char             file[512];
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("ext4", &folder, &err));
    (void) snprintf(file, sizeof file, "%s/disk", folder);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        AUTO(buffer) struct buffer said = { 0 };
        AUTO(fd) int               fd   = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t) sizes[i]), 0);
        assert_true(ext4_format(fd, sizes[i], seed, &err));
        if (judge(file, &said) != 0)
            fail_msg("%llu bytes: %s", (unsigned long long) sizes[i], buffer_text(&said));
    }
    assert_true(directory_remove(folder, &err));
}

static void what_lay_there_before_does_not_matter(void **state)
{
    AUTO(text) char           *folder = NULL;
    AUTO(buffer) struct buffer said   = { 0 };
    AUTO(heap) uint8_t        *noise  = malloc(MIB);
    char                       file[512];
    struct err                 err;

    (void) state;
    assert_non_null(noise);
    memset(noise, 0xa5, MIB);
    assert_true(directory_make_temporary("ext4", &folder, &err));
    (void) snprintf(file, sizeof file, "%s/disk", folder);
    AUTO(fd) int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (size_t i = 0; i < 40; i++)
        assert_true(write_all(fd, (struct bytes){ noise, MIB }, &err));
    assert_true(ext4_format(fd, 40 * MIB, seed, &err));
    if (judge(file, &said) != 0)
        fail_msg("%s", buffer_text(&said));
    assert_true(directory_remove(folder, &err));
}

static void sizes_beyond_the_limits_are_refused(void **state)
{
    static const uint64_t sizes[] = { 0, EXT4_LEN_MIN - 1, EXT4_LEN_MAX + 1, UINT64_MAX };
    struct err            err;

    (void) state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_false(ext4_format(-1, sizes[i], seed, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
    }
    assert_false(ext4_format(-1, EXT4_LEN_MIN, seed, &err));
    assert_int_equal(err.kind, ERR_OS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(e2fsck_finds_nothing_at_any_size),
        cmocka_unit_test(what_lay_there_before_does_not_matter),
        cmocka_unit_test(sizes_beyond_the_limits_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
