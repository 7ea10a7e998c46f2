#include "tests/harness/test.h"

#include <sys/mount.h>

#include "guest/init/mounts.h"

static const struct mount_row *row_of(const char *target)
{
    for (size_t i = 0; i < n_mount_rows; i++)
        if (strcmp(mount_rows[i].target, target) == 0)
            return &mount_rows[i];
    fail_msg("no row for %s", target);
    return NULL;
}

static void no_row_lets_a_set_user_id_file_work(void **state)
{
    (void) state;
    for (size_t i = 0; i < n_mount_rows; i++)
        assert_true(mount_rows[i].flags & MS_NOSUID);
}

static void device_nodes_work_below_dev_only(void **state)
{
    (void) state;
    for (size_t i = 0; i < n_mount_rows; i++)
        if (strcmp(mount_rows[i].type, "devtmpfs") != 0 && strcmp(mount_rows[i].type, "devpts") != 0)
            assert_true(mount_rows[i].flags & MS_NODEV);
}

static void a_parent_is_mounted_before_what_is_below_it(void **state)
{
    (void) state;
    for (size_t i = 0; i < n_mount_rows; i++)
        for (size_t j = i + 1; j < n_mount_rows; j++) {
            size_t len = strlen(mount_rows[j].target);

            assert_false(strncmp(mount_rows[i].target, mount_rows[j].target, len) == 0 &&
                         mount_rows[i].target[len] == '/');
        }
}

/* What a registry or a workload may have taken over is none of root's processes: it finds no way to what others of the guest hold. */
static void only_root_gets_to_images_and_volumes(void **state)
{
    (void) state;
    assert_true(strncmp(row_of("/run")->options, "mode=0700,", 10) == 0);
}

static void what_the_agent_needs_is_there(void **state)
{
    static const char *const needed[] = { "/proc", "/sys", "/dev", "/dev/pts", "/run", "/sys/fs/cgroup" };

    (void) state;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        assert_false(row_of(needed[i])->may_be_absent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_row_lets_a_set_user_id_file_work),
        cmocka_unit_test(device_nodes_work_below_dev_only),
        cmocka_unit_test(a_parent_is_mounted_before_what_is_below_it),
        cmocka_unit_test(only_root_gets_to_images_and_volumes),
        cmocka_unit_test(what_the_agent_needs_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
