#include "tests/harness/test.h"

#include "guest/init/image_disk.h"

static const struct image_disk first = { .hex = "0123456789abcdef", .n_blocks = 200, .n_tree_blocks = 3, .root = { 1, 2, 3 }, .key_sha256 = { 7 } };

static struct image_disks with_first(void)
{
    return (struct image_disks){ .n_mounted = 1, .mounted = { first } };
}

static void assert_refused(const struct image_disk *disk)
{
    struct image_disks disks = with_first();
    bool               is_mounted;
    struct err         err = { 0 };

    assert_false(image_disks_look(&disks, disk, &is_mounted, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_string_equal(err.text, "its blocks are mounted already, with another key or as another layer");
}

static void a_disk_is_mounted_once(void **state)
{
    struct image_disks none = { 0 }, one = with_first();
    struct image_disk  other = first;
    bool               is_mounted;
    struct err         err;

    (void) state;
    other.root[IMAGE_DISK_HASH_LEN - 1] = 1; /* what paths and devices are named by is the beginning */
    assert_true(image_disks_look(&none, &first, &is_mounted, &err) && !is_mounted);
    assert_true(image_disks_look(&one, &first, &is_mounted, &err) && is_mounted);
    assert_true(image_disks_look(&one, &other, &is_mounted, &err) && !is_mounted);
}

static void who_names_anothers_root_hash_does_not_get_the_mount(void **state)
{
    struct image_disk other_key = first, no_key = first, longer = first, other_tree = first, other_layer = first;

    (void) state;
    other_key.key_sha256[IMAGE_DISK_HASH_LEN - 1] = 1;
    memset(no_key.key_sha256, 0, sizeof no_key.key_sha256);
    longer.n_blocks++;
    other_tree.n_tree_blocks++;
    other_layer.hex[15] = '0';
    assert_refused(&other_key);
    assert_refused(&no_key);
    assert_refused(&longer);
    assert_refused(&other_tree);
    assert_refused(&other_layer);
}

static void there_is_an_end_to_them(void **state)
{
    struct image_disks full = { .n_mounted = IMAGE_DISKS_MAX };
    struct image_disk  one_more = first;
    bool               is_mounted;
    struct err         err = { 0 };

    (void) state;
    for (unsigned i = 0; i < IMAGE_DISKS_MAX; i++) {
        full.mounted[i]         = first;
        full.mounted[i].root[0] = (uint8_t) i;
    }
    one_more.root[0] = IMAGE_DISKS_MAX;
    assert_true(image_disks_look(&full, &full.mounted[IMAGE_DISKS_MAX - 1], &is_mounted, &err) && is_mounted);
    assert_false(image_disks_look(&full, &one_more, &is_mounted, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_is_mounted_once),
        cmocka_unit_test(who_names_anothers_root_hash_does_not_get_the_mount),
        cmocka_unit_test(there_is_an_end_to_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
