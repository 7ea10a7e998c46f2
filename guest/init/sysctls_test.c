#include "tests/harness/test.h"

#include "base/file.h"
#include "guest/init/sysctls.h"

static char *root;

static int open_root(void **state)
{
    struct err err;

    (void) state;
    assert_true(directory_make_temporary("sysctls", &root, &err));
    for (size_t i = 0; i < n_sysctl_rows; i++) {
        AUTO(text) char *path = NULL, *folder = NULL;

        assert_true(asprintf(&path, "%s/%s", root, sysctl_rows[i].path) > 0);
        folder = strdup(path);
        *strrchr(folder, '/') = 0;
        assert_true(directory_make(folder, &err));
        assert_true(file_write(path, bytes_of_text(""), 0644, &err));
    }
    return 0;
}

static int close_root(void **state)
{
    struct err err;

    (void) state;
    assert_true(directory_remove(root, &err));
    free(root);
    return 0;
}

static void remove_row(const char *name)
{
    AUTO(text) char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", root, name) > 0);
    assert_int_equal(unlink(path), 0);
}

static void writes_every_row(void **state)
{
    struct err err;

    (void) state;
    assert_true(sysctls_write(root, &err));
    for (size_t i = 0; i < n_sysctl_rows; i++) {
        AUTO(text) char           *path = NULL;
        AUTO(buffer) struct buffer text = { 0 };

        assert_true(asprintf(&path, "%s/%s", root, sysctl_rows[i].path) > 0);
        assert_true(file_read(path, 64, &text, &err));
        assert_string_equal(buffer_text(&text), sysctl_rows[i].value);
    }
}

static void a_missing_row_is_told_unless_kernels_may_lack_it(void **state)
{
    struct err err;

    (void) state;
    remove_row("kernel/io_uring_disabled");
    assert_true(sysctls_write(root, &err));
    remove_row("kernel/modules_disabled");
    assert_false(sysctls_write(root, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_string_equal(err.text, "sysctl kernel/modules_disabled: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_every_row, open_root, close_root),
        cmocka_unit_test_setup_teardown(a_missing_row_is_told_unless_kernels_may_lack_it, open_root, close_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
