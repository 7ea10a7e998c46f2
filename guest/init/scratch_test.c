#include "tests/harness/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "guest/init/scratch.h"

enum { DISK_SECTORS = 2048 };

static void superblock(uint8_t bytes[static 24], uint64_t provided)
{
    struct writer w = writer_over(bytes, 24);

    put(&w, (struct bytes){ (const uint8_t *) "integrt", 8 });
    put_zeros(&w, 8);
    put_u64le(&w, provided);
}

static bool read_superblock(const uint8_t *from, size_t len, uint64_t *out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from, len);

    return scratch_superblock_read((struct bytes){ exact, len }, DISK_SECTORS, out, err);
}

static void whole_pages_are_provided(void **state)
{
    uint8_t    bytes[24];
    uint64_t   sectors = 0;
    struct err err;

    (void) state;
    superblock(bytes, 1999);
    assert_true(read_superblock(bytes, sizeof bytes, &sectors, &err));
    assert_int_equal(sectors, 1992);
}

static void rejects_every_truncation_and_leaves_out_alone(void **state)
{
    uint8_t    bytes[24];
    uint64_t   sectors = 7;
    struct err err;

    (void) state;
    superblock(bytes, 1992);
    for (size_t len = 0; len < sizeof bytes; len++) {
        assert_false(read_superblock(bytes, len, &sectors, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(sectors, 7);
    }
}

static void a_superblock_that_lies_is_refused(void **state)
{
    static const uint64_t lies[] = { 0, 7, DISK_SECTORS, DISK_SECTORS + 8, UINT64_MAX };
    uint8_t               bytes[24];
    uint64_t              sectors = 7;
    struct err            err;

    (void) state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        superblock(bytes, lies[i]);
        assert_false(read_superblock(bytes, sizeof bytes, &sectors, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_non_null(strstr(err.text, "sectors of 2048"));
    }
    superblock(bytes, 1992);
    bytes[0] = 'I';
    assert_false(read_superblock(bytes, sizeof bytes, &sectors, &err));
    assert_string_equal(err.text, "scratch: superblock: no dm-integrity");
    assert_int_equal(sectors, 7);
}

static void disk(const char *folder, const char *name, const char *serial)
{
    char       path[4096];
    struct err err;

    (void) snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
    (void) snprintf(path, sizeof path, "%s/%s/serial", folder, name);
    if (serial)
        assert_true(file_write(path, bytes_of_text(serial), 0600, &err));
}

static void the_disk_is_known_by_its_serial(void **state)
{
    AUTO(text) char *folder = NULL;
    char             name[SCRATCH_NAME_MAX];
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("blocks", &folder, &err));
    disk(folder, "vda", "initdata\n");
    disk(folder, "vdb", NULL);
    disk(folder, "sda", SCRATCH_SERIAL "\n");
    disk(folder, "vdc", SCRATCH_SERIAL "-2\n");
    assert_true(scratch_find(folder, name, &err));
    assert_string_equal(name, "");
    disk(folder, "vdd", SCRATCH_SERIAL "\n");
    assert_true(scratch_find(folder, name, &err));
    assert_string_equal(name, "vdd");
    disk(folder, "vde", SCRATCH_SERIAL);
    assert_false(scratch_find(folder, name, &err));
    assert_string_equal(err.text, "two scratch disks");
    assert_true(directory_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_pages_are_provided),
        cmocka_unit_test(rejects_every_truncation_and_leaves_out_alone),
        cmocka_unit_test(a_superblock_that_lies_is_refused),
        cmocka_unit_test(the_disk_is_known_by_its_serial),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
