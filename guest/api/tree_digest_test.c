#include "tests/harness/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "guest/api/tree_digest.h"

static char *folder;

static int make(void **state)
{
    struct err err;

    (void) state;
    return directory_make_temporary("tree", &folder, &err) ? 0 : -1;
}

static int clean(void **state)
{
    struct err err;

    (void) state;
    assert_true(directory_remove(folder, &err));
    free(folder);
    return 0;
}

static const char *at(const char *name)
{
    static char path[2][512];
    static int  which;

    which ^= 1;
    (void) snprintf(path[which], sizeof path[which], "%s/%s", folder, name);
    return path[which];
}

static bool digest(struct tree_digest *out, struct err *err)
{
    AUTO(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return tree_digest_of(fd, out, err);
}

static struct tree_digest now(void)
{
    struct tree_digest out = { 0 };
    struct err         err;

    if (!digest(&out, &err))
        fail_msg("%s", err.text);
    return out;
}

static void put_file(const char *name, const char *content, mode_t mode)
{
    struct err err;

    assert_true(file_write(at(name), bytes_of_text(content), mode, &err));
}

/* The records, written out by hand. */
static void the_digest_is_over_the_records_that_the_header_names(void **state)
{
    static const char records[] =
        "d 0755 0 - a\0"
        "f 0644 5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 a/hello\0"
        "f 0600 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 a-b\0"
        "l 0777 7 3c5b4dd9d17b3ccca0da98a47d6e3f5a5e50f4ae7d3b1b9c4b1b6ab8c3a1ad11 z\0";
    AUTO(buffer) struct buffer wanted = { 0 };
    uint8_t                    digest_of_target[SHA256_LEN], whole[SHA256_LEN];
    struct tree_digest         found;

    (void) state;
    assert_int_equal(mkdir(at("a"), 0755), 0);
    put_file("a/hello", "hello", 0644);
    put_file("a-b", "", 0600);
    assert_int_equal(symlink("a/hello", at("z")), 0);
    buffer_append(&wanted, (struct bytes){ (const uint8_t *) records, sizeof records - 1 });
    sha256_of(bytes_of_text("a/hello"), digest_of_target);
    for (size_t i = 0; i < SHA256_LEN; i++) { /* the link's, which nobody wants to write by hand */
        char hex[3];

        (void) snprintf(hex, sizeof hex, "%02x", digest_of_target[i]);
        memcpy(wanted.at + wanted.len - 3 - 64 + 2 * i, hex, 2);
    }
    sha256_of(buffer_bytes(&wanted), whole);
    found = now();
    assert_memory_equal(found.sha256, whole, sizeof whole);
    assert_int_equal(found.entries, 4);
    assert_int_equal(found.bytes, 5);
}

static void every_change_is_another_digest(void **state)
{
    struct tree_digest before = now(), after;

    (void) state;
    put_file("a/hello", "hellO", 0644);
    after = now();
    assert_memory_not_equal(after.sha256, before.sha256, SHA256_LEN);
    put_file("a/hello", "hello", 0640);
    after = now();
    assert_memory_not_equal(after.sha256, before.sha256, SHA256_LEN);
    put_file("a/hello", "hello", 0644);
    after = now();
    assert_memory_equal(after.sha256, before.sha256, SHA256_LEN);
    put_file("c", "", 0644);
    after = now();
    assert_memory_not_equal(after.sha256, before.sha256, SHA256_LEN);
    assert_int_equal(unlink(at("c")), 0);
    assert_int_equal(rename(at("a-b"), at("a-c")), 0);
    after = now();
    assert_memory_not_equal(after.sha256, before.sha256, SHA256_LEN);
}

static void what_is_no_file_directory_or_link_is_refused(void **state)
{
    struct tree_digest out = { .entries = 77 };
    struct err         err;

    (void) state;
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_false(digest(&out, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "pipe is neither file, directory nor link");
    assert_int_equal(out.entries, 77);
    assert_int_equal(unlink(at("pipe")), 0);
}

static void depth_is_bounded_and_no_link_is_followed(void **state)
{
    struct tree_digest out;
    char               deep[512] = "";
    struct err         err;

    (void) state;
    assert_int_equal(symlink(".", at("loop")), 0);
    (void) now();
    for (int i = 0; i <= TREE_DEPTH_MAX; i++) {
        (void) strcat(deep, i ? "/d" : "d");
        assert_int_equal(mkdir(at(deep), 0755), 0);
    }
    assert_false(digest(&out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_digest_is_over_the_records_that_the_header_names),
        cmocka_unit_test(every_change_is_another_digest),
        cmocka_unit_test(what_is_no_file_directory_or_link_is_refused),
        cmocka_unit_test(depth_is_bounded_and_no_link_is_followed),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
