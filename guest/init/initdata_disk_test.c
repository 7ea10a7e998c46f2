#include "tests/harness/test.h"

#include "base/file.h"
#include "guest/init/initdata_disk.h"
#include "keys/api/initdata.h"

static char *directory;

static int open_directory(void **state)
{
    struct err err;

    (void) state;
    assert_true(directory_make_temporary("disks", &directory, &err));
    return 0;
}

static int close_directory(void **state)
{
    struct err err;

    (void) state;
    assert_true(directory_remove(directory, &err));
    free(directory);
    return 0;
}

static void add_disk(const char *name, struct bytes content)
{
    AUTO(text) char *path = NULL;
    struct err       err;

    assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
    assert_true(file_write(path, content, 0600, &err));
}

static void add_good_disk(const char *name, const char *text)
{
    AUTO(buffer) struct buffer disk = { 0 };
    struct err                 err;

    assert_true(initdata_disk_write(bytes_of_text(text), &disk, &err));
    add_disk(name, buffer_bytes(&disk));
}

static void refuses(enum err_kind kind, const char *why)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 err;

    assert_false(initdata_disk_find(directory, &text, &err));
    assert_int_equal(err.kind, kind);
    if (why)
        assert_string_equal(err.text, why);
    assert_int_equal(text.len, 0);
}

static void finds_the_one_disk_among_others(void **state)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 err;

    (void) state;
    add_disk("vda", bytes_of_text("a file system"));
    add_disk("vdb", bytes_of_text(""));
    add_disk("vdc1", bytes_of_text("initdata"));
    add_disk("null", bytes_of_text("initdata"));
    add_good_disk("sda", "version = \"0.1.0\"\n");
    assert_true(initdata_disk_find(directory, &text, &err));
    assert_string_equal(buffer_text(&text), "version = \"0.1.0\"\n");
}

static void refuses_none_and_two(void **state)
{
    (void) state;
    refuses(ERR_NOT_FOUND, "no disk holds initdata");
    add_good_disk("vda", "a");
    add_good_disk("vdb", "a");
    refuses(ERR_MALFORMED, "two disks hold initdata");
}

static void a_length_that_lies_is_refused_before_memory_is_taken(void **state)
{
    (void) state;
    add_disk("vda", (struct bytes){ (const uint8_t *) "initdata\xff\xff\xff\xff\xff\xff\xff\x7f", 16 });
    refuses(ERR_LIMIT, "initdata disk: 9223372036854775807 bytes of gzip; at most 2097152");
}

static void a_disk_shorter_than_it_says_is_refused(void **state)
{
    (void) state;
    add_disk("vda", (struct bytes){ (const uint8_t *) "initdata\x40\0\0\0\0\0\0\0\x1f\x8b", 18 });
    refuses(ERR_MALFORMED, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_the_one_disk_among_others, open_directory, close_directory),
        cmocka_unit_test_setup_teardown(refuses_none_and_two, open_directory, close_directory),
        cmocka_unit_test_setup_teardown(a_length_that_lies_is_refused_before_memory_is_taken, open_directory,
                                        close_directory),
        cmocka_unit_test_setup_teardown(a_disk_shorter_than_it_says_is_refused, open_directory, close_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
