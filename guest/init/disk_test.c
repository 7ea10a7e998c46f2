#include "tests/harness/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "guest/init/disk.h"

#define SERIAL "cloister-scratch"

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

static void a_disk_is_known_by_its_whole_serial(void **state)
{
    AUTO(text) char *folder = NULL;
    char             name[DISK_NAME_MAX];
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("blocks", &folder, &err));
    disk(folder, "vda", "initdata\n");
    disk(folder, "vdb", NULL);
    disk(folder, "sda", SERIAL "\n");
    disk(folder, "vdc", SERIAL "-2\n");
    disk(folder, "vdf", SERIAL "\n\n");
    disk(folder, "vdg12345", SERIAL "\n");
    assert_true(disk_find(folder, SERIAL, name, &err));
    assert_string_equal(name, "");
    assert_true(disk_with_prefix(folder, "cloister-"));
    assert_false(disk_with_prefix(folder, "vol-"));
    disk(folder, "vdd", SERIAL "\n");
    assert_true(disk_find(folder, SERIAL, name, &err));
    assert_string_equal(name, "vdd");
    disk(folder, "vde", SERIAL);
    assert_false(disk_find(folder, SERIAL, name, &err));
    assert_string_equal(err.text, "two disks with the serial " SERIAL);
    assert_true(directory_remove(folder, &err));
    assert_false(disk_find(folder, SERIAL, name, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_false(disk_with_prefix(folder, "vol-"));
}

static void what_is_no_block_device_is_not_opened(void **state)
{
    struct disk opened;
    struct err  err;

    (void) state;
    assert_false(disk_open("null", true, &opened, &err));
    assert_string_equal(err.text, "/dev/null: no block device");
    assert_false(disk_open("none", false, &opened, &err));
    assert_int_equal(err.kind, ERR_OS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_is_known_by_its_whole_serial),
        cmocka_unit_test(what_is_no_block_device_is_not_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
