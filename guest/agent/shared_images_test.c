#include "tests/harness/test.h"

#include <unistd.h>

#include "base/file.h"
#include "guest/agent/shared_images.h"

static struct digest digest_number(uint8_t n)
{
    return (struct digest){ .algorithm = DIGEST_SHA256, .value = { n } };
}

static void add(struct shared_images *all, const char *folder, uint8_t n, const char *kid, char path[static IMAGE_MOUNT_PATH_MAX])
{
    struct shared_image image = { .manifest = digest_number(n), .is_unpacked = true };
    AUTO(fd) int        fd    = NO_FD;
    struct err          err;

    if (!shared_images_begin(all, folder, path, &fd, &err))
        fail_msg("%s", err.text);
    (void) snprintf(image.path, sizeof image.path, "%s", path);
    (void) snprintf(image.verdict.required_kid, sizeof image.verdict.required_kid, "%s", kid); /* both fit */
    buffer_append_text(&image.config, "{}");
    shared_images_add(all, image);
}

static void an_image_is_found_under_its_own_verdict_only(void **state)
{
    AUTO(shared_images) struct shared_images all    = { .n = 0 };
    AUTO(text) char                         *folder = NULL;
    struct image_verdict                     none = { .must_be_encrypted = false }, strict = { .must_be_encrypted = true };
    struct image_verdict                     by_key = { .required_kid = "kbs:///a/b/c" };
    struct digest                            one = digest_number(1), two = digest_number(2);
    char                                     path[IMAGE_MOUNT_PATH_MAX];
    struct err                               err;

    (void) state;
    assert_true(directory_make_temporary("shared-", &folder, &err));
    add(&all, folder, 1, "", path);
    assert_string_equal(shared_images_find(&all, &one, &none)->path, path);
    assert_null(shared_images_find(&all, &two, &none));
    assert_null(shared_images_find(&all, &one, &strict));
    assert_null(shared_images_find(&all, &one, &by_key));
    add(&all, folder, 1, "kbs:///a/b/c", path);
    assert_string_equal(shared_images_find(&all, &one, &by_key)->path, path);
    assert_true(directory_remove(folder, &err));
}

static void what_nobody_uses_goes_and_no_folder_comes_twice(void **state)
{
    AUTO(shared_images) struct shared_images all    = { .n = 0 };
    AUTO(text) char                         *folder = NULL;
    char  first[IMAGE_MOUNT_PATH_MAX], second[IMAGE_MOUNT_PATH_MAX], third[IMAGE_MOUNT_PATH_MAX];
    char *used[] = { second };
    struct err err;

    (void) state;
    assert_true(directory_make_temporary("shared-", &folder, &err));
    add(&all, folder, 1, "", first);
    add(&all, folder, 2, "", second);
    shared_images_forget(&all, used, 1);
    assert_int_equal(all.n, 1);
    assert_int_not_equal(access(first, F_OK), 0);
    assert_int_equal(access(second, F_OK), 0);
    add(&all, folder, 3, "", third);
    assert_string_not_equal(third, first);
    all.at[0].is_unpacked = false; /* mounted: not ours to remove */
    shared_images_forget(&all, NULL, 0);
    assert_int_equal(all.n, 0);
    assert_int_equal(access(second, F_OK), 0);
    assert_int_not_equal(access(third, F_OK), 0);
    assert_true(directory_remove(folder, &err));
}

static void there_is_a_bound(void **state)
{
    AUTO(shared_images) struct shared_images all    = { .n = 0 };
    AUTO(text) char                         *folder = NULL;
    AUTO(fd) int                             fd     = NO_FD;
    char                                     path[IMAGE_MOUNT_PATH_MAX];
    struct err                               err;

    (void) state;
    assert_true(directory_make_temporary("shared-", &folder, &err));
    for (unsigned i = 0; i < SHARED_IMAGES_MAX; i++)
        add(&all, folder, (uint8_t) i, "", path);
    assert_false(shared_images_begin(&all, folder, path, &fd, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    shared_images_forget(&all, NULL, 0);
    assert_true(shared_images_begin(&all, folder, path, &fd, &err));
    assert_true(directory_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_found_under_its_own_verdict_only),
        cmocka_unit_test(what_nobody_uses_goes_and_no_folder_comes_twice),
        cmocka_unit_test(there_is_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
