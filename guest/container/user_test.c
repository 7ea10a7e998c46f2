#include "tests/harness/test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "guest/container/user.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "broken line\n"
                             "short:x:9:9\n"
                             "noid:x:abc:9:n:/:/x\n"
                             "app:x:1000:1001:App,,,:/home/app:/bin/sh\n"
                             "1000:x:7:7:a name of digits:/seven:/x\n"
                             "far:x:4294967295:1:x:/:/x\n"
                             "relative:x:12:12:r:home:/x";
static const char group[]  = "root:x:0:\nwheel:x:10:root,app\nvideo:x:44:app\napp:x:1001:app\napps:x:45:apple,ap\nbad\n";

static struct user finds(const char *wanted)
{
    AUTO(heap) uint8_t *p = exact_copy(passwd, sizeof passwd - 1), *g = exact_copy(group, sizeof group - 1);
    struct user         user = { 0 };
    struct err          err  = { 0 };

    if (!user_find(wanted, (struct bytes){ p, sizeof passwd - 1 }, (struct bytes){ g, sizeof group - 1 }, &user, &err))
        fail_msg("%s: %s", wanted, err.text);
    return user;
}

static void refuses(const char *wanted, enum err_kind kind, const char *why)
{
    struct user user = { .uid = 77 };
    struct err  err;

    assert_false(user_find(wanted, bytes_of_text(passwd), bytes_of_text(group), &user, &err));
    assert_int_equal(err.kind, kind);
    assert_string_equal(err.text, why);
    assert_int_equal(user.uid, 77);
}

static void nobody_named_is_root(void **state)
{
    struct user user = finds("");

    (void) state;
    assert_int_equal(user.uid, 0);
    assert_string_equal(user.home, "/root");
    assert_int_equal(user.n_groups, 1);
    assert_int_equal(user.groups[0], 10);
}

static void a_name_brings_its_groups_and_home(void **state)
{
    struct user user = finds("app");

    (void) state;
    assert_int_equal(user.uid, 1000);
    assert_int_equal(user.gid, 1001);
    assert_string_equal(user.home, "/home/app");
    assert_int_equal(user.n_groups, 2);
    assert_int_equal(user.groups[0], 10);
    assert_int_equal(user.groups[1], 44);
}

static void a_named_group_replaces_all_groups(void **state)
{
    struct user user = finds("app:video");

    (void) state;
    assert_int_equal(user.gid, 44);
    assert_int_equal(user.n_groups, 0);
    assert_int_equal(finds("app:9").gid, 9);
    assert_int_equal(finds("5:6").uid, 5);
    assert_int_equal(finds("5:6").gid, 6);
}

static void a_number_is_taken_as_it_is(void **state)
{
    struct user user = finds("4242");

    (void) state;
    assert_int_equal(user.uid, 4242);
    assert_int_equal(user.gid, 0);
    assert_string_equal(user.home, "/");
    assert_int_equal(finds("12").gid, 12);
    assert_string_equal(finds("12").home, "/"); /* not absolute in the file */
}

static void refuses_what_is_not_there_or_makes_no_sense(void **state)
{
    (void) state;
    refuses("ghost", ERR_NOT_FOUND, "the image has no user \"ghost\"");
    refuses("app:ghost", ERR_NOT_FOUND, "the image has no group \"ghost\"");
    refuses("noid", ERR_NOT_FOUND, "the image has no user \"noid\"");
    refuses("short", ERR_NOT_FOUND, "the image has no user \"short\"");
    refuses("far", ERR_NOT_FOUND, "the image has no user \"far\"");
    refuses("4294967295", ERR_NOT_FOUND, "the image has no user \"4294967295\"");
    refuses("-1", ERR_NOT_FOUND, "the image has no user \"-1\"");
    refuses(":5", ERR_MALFORMED, "user \":5\": wanted user or user:group");
    refuses("app:", ERR_MALFORMED, "user \"app:\": wanted user or user:group");
    refuses("app:5:6", ERR_MALFORMED, "user \"app:5:6\": wanted user or user:group");
}

static void bounds_the_groups(void **state)
{
    AUTO(buffer) struct buffer many = { 0 };
    struct user                user;
    struct err                 err;

    (void) state;
    for (int i = 0; i <= USER_GROUPS_MAX; i++)
        buffer_printf(&many, "g%d:x:%d:app\n", i, 5000 + i);
    assert_false(user_find("app", bytes_of_text(passwd), buffer_bytes(&many), &user, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "the user is in over 64 groups");
}

static void a_link_out_of_the_image_stays_inside(void **state)
{
    AUTO(text) char *root = NULL, *etc = NULL, *link_path = NULL, *real = NULL;
    struct user      user;
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("root", &root, &err));
    assert_true(asprintf(&etc, "%s/etc", root) > 0 && asprintf(&link_path, "%s/etc/passwd", root) > 0);
    assert_true(asprintf(&real, "%s/real", root) > 0);
    assert_true(directory_make(etc, &err));
    assert_int_equal(symlink("/../../../../real", link_path), 0);
    assert_true(file_write(real, bytes_of_text("only:x:77:78::/o:/x\n"), 0644, &err));
    AUTO(fd) int fd = open(root, O_RDONLY | O_DIRECTORY);
    assert_true(user_find_in(fd, "only", &user, &err));
    assert_int_equal(user.uid, 77);
    assert_int_equal(unlink(link_path), 0);
    assert_int_equal(mkfifo(link_path, 0600), 0);
    assert_false(user_find_in(fd, "only", &user, &err));
    assert_string_equal(err.text, "etc/passwd: not a plain file");
    assert_true(directory_remove(root, &err));
}

static void an_image_without_the_files_has_numbers_only(void **state)
{
    AUTO(text) char *root = NULL;
    struct user      user;
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("root", &root, &err));
    AUTO(fd) int fd = open(root, O_RDONLY | O_DIRECTORY);
    assert_true(user_find_in(fd, "", &user, &err));
    assert_int_equal(user.uid, 0);
    assert_string_equal(user.home, "/");
    assert_false(user_find_in(fd, "root", &user, &err));
    assert_true(directory_remove(root, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_named_is_root),
        cmocka_unit_test(a_name_brings_its_groups_and_home),
        cmocka_unit_test(a_named_group_replaces_all_groups),
        cmocka_unit_test(a_number_is_taken_as_it_is),
        cmocka_unit_test(refuses_what_is_not_there_or_makes_no_sense),
        cmocka_unit_test(bounds_the_groups),
        cmocka_unit_test(a_link_out_of_the_image_stays_inside),
        cmocka_unit_test(an_image_without_the_files_has_numbers_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
