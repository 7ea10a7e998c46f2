#include "tests/harness/test.h"

#include <unistd.h>

#include "base/file.h"
#include "guest/agent/shared_images.h"

static struct digest digest_number(uint8_t n)
{
    return (struct digest){ .algorithm = DIGEST_SHA256, .value = { n } };
}

/* An image of one layer of its own. */
static void add(struct shared_images *all, uint8_t n, const char *kid, char path[static LAYER_PATH_MAX])
{
    struct shared_image image = { .manifest = digest_number(n) };
    struct layer_begun  begun = NO_LAYER_BEGUN;
    struct layer_id     id    = { { n } };
    struct err          err;

    if (!shared_images_room(all, &err) || !layer_store_begin(&all->layers, 0, &begun, &err))
        fail_msg("%s", err.text);
    image.top = begun.number;
    layer_store_path(all->layers.folder, begun.number, path);
    assert_true(layer_store_end(&all->layers, &begun, &id, 0, 0, &err));
    (void) snprintf(image.verdict.required_kid, sizeof image.verdict.required_kid, "%s", kid); /* fits */
    buffer_append_text(&image.config, "{}");
    shared_images_add(all, image);
}

static void assert_is_at(const struct shared_images *all, const struct digest *manifest, const struct image_verdict *verdict, const char *path)
{
    AUTO(shared_root) struct shared_root root = { 0 };

    shared_images_root(all, shared_images_find(all, manifest, verdict), &root);
    assert_int_equal(root.n, 1);
    assert_string_equal(root.lower[0], path);
}

static void an_image_is_found_under_its_own_verdict_only(void **state)
{
    AUTO(shared_images) struct shared_images all    = { .n = 0 };
    AUTO(text) char                         *folder = NULL;
    struct image_verdict                     none = { .must_be_encrypted = false }, strict = { .must_be_encrypted = true };
    struct image_verdict                     by_key = { .required_kid = "kbs:///a/b/c" };
    struct digest                            one = digest_number(1), two = digest_number(2);
    char                                     path[LAYER_PATH_MAX];
    struct err                               err;

    (void) state;
    assert_true(directory_make_temporary("shared-", &folder, &err));
    all.layers.folder = folder;
    add(&all, 1, "", path);
    assert_is_at(&all, &one, &none, path);
    assert_null(shared_images_find(&all, &two, &none));
    assert_null(shared_images_find(&all, &one, &strict));
    assert_null(shared_images_find(&all, &one, &by_key));
    add(&all, 1, "kbs:///a/b/c", path);
    assert_is_at(&all, &one, &by_key, path);
    assert_true(directory_remove(folder, &err));
}

static void what_nobody_uses_goes_and_no_folder_comes_twice(void **state)
{
    AUTO(shared_images) struct shared_images all    = { .n = 0 };
    AUTO(text) char                         *folder = NULL;
    struct image_verdict                     none   = { .must_be_encrypted = false };
    struct digest                            four   = digest_number(4);
    char       first[LAYER_PATH_MAX], second[LAYER_PATH_MAX], third[LAYER_PATH_MAX], disk[] = "/run/images/x";
    char      *used[] = { second }, *mounted[] = { disk };
    struct err err;

    (void) state;
    assert_true(directory_make_temporary("shared-", &folder, &err));
    all.layers.folder = folder;
    add(&all, 1, "", first);
    add(&all, 2, "", second);
    shared_images_forget(&all, used, 1);
    assert_int_equal(all.n, 1);
    assert_int_not_equal(access(first, F_OK), 0);
    assert_int_equal(access(second, F_OK), 0);
    add(&all, 3, "", third);
    assert_string_not_equal(third, first);
    shared_images_add(&all, (struct shared_image){ .manifest = digest_number(4), .mounted = "/run/images/x" });
    shared_images_forget(&all, mounted, 1);
    assert_int_equal(all.n, 1);
    assert_int_not_equal(access(second, F_OK), 0);
    assert_int_not_equal(access(third, F_OK), 0);
    assert_is_at(&all, &four, &none, "/run/images/x");
    shared_images_forget(&all, NULL, 0);
    assert_int_equal(all.n, 0);
    assert_true(directory_remove(folder, &err));
}

static void layers_stay_as_long_as_an_image_has_them(void **state)
{
    AUTO(shared_images) struct shared_images all    = { .n = 0 };
    AUTO(text) char                         *folder = NULL;
    char                                     base[LAYER_PATH_MAX], derived[LAYER_PATH_MAX];
    char                                    *used[] = { derived };
    struct err                               err;

    (void) state;
    assert_true(directory_make_temporary("shared-", &folder, &err));
    all.layers.folder = folder;
    add(&all, 1, "", base);
    add(&all, 2, "", derived);
    all.layers.layers[1].below = all.layers.layers[0].number;
    shared_images_forget(&all, used, 1);
    assert_int_equal(all.n, 1);
    assert_int_equal(access(base, F_OK), 0);
    shared_images_forget(&all, NULL, 0);
    assert_int_not_equal(access(base, F_OK), 0);
    assert_int_not_equal(access(derived, F_OK), 0);
    assert_true(directory_remove(folder, &err));
}

static void there_is_a_bound(void **state)
{
    AUTO(shared_images) struct shared_images all    = { .n = 0 };
    AUTO(text) char                         *folder = NULL;
    char                                     path[LAYER_PATH_MAX];
    struct err                               err;

    (void) state;
    assert_true(directory_make_temporary("shared-", &folder, &err));
    all.layers.folder = folder;
    for (unsigned i = 0; i < SHARED_IMAGES_MAX; i++)
        add(&all, (uint8_t) i, "", path);
    assert_false(shared_images_room(&all, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    shared_images_forget(&all, NULL, 0);
    assert_true(shared_images_room(&all, &err));
    assert_true(directory_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_found_under_its_own_verdict_only),
        cmocka_unit_test(what_nobody_uses_goes_and_no_folder_comes_twice),
        cmocka_unit_test(layers_stay_as_long_as_an_image_has_them),
        cmocka_unit_test(there_is_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
