#include "tests/harness/test.h"

#include <unistd.h>

#include "base/file.h"
#include "guest/init/modules.h"

static void an_empty_directory_is_fine_and_a_missing_one_is_not(void **state)
{
    AUTO(text) char *directory = NULL;
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("modules", &directory, &err));
    assert_true(modules_load(directory, &err));
    assert_true(directory_remove(directory, &err));
    assert_false(modules_load(directory, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void what_is_no_module_is_refused_by_name(void **state)
{
    AUTO(text) char *directory = NULL, *path = NULL;
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("modules", &directory, &err));
    assert_true(asprintf(&path, "%s/00-odd.ko", directory) > 0);
    assert_true(file_write(path, bytes_of_text("not a module"), 0644, &err));
    assert_false(modules_load(directory, &err)); /* ENOEXEC as root, EPERM otherwise */
    assert_int_equal(err.kind, ERR_OS);
    assert_non_null(strstr(err.text, "module 00-odd.ko: "));
    assert_true(directory_remove(directory, &err));
}

static void what_was_loaded_is_forgotten(void **state)
{
    AUTO(text) char *directory = NULL, *path = NULL;
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("modules", &directory, &err));
    assert_true(asprintf(&path, "%s/00-one.ko", directory) > 0);
    assert_true(file_write(path, bytes_of_text("a module"), 0644, &err));
    modules_forget(directory);
    assert_int_equal(access(directory, F_OK), -1);
    modules_forget(directory); /* once more is fine */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_directory_is_fine_and_a_missing_one_is_not),
        cmocka_unit_test(what_is_no_module_is_refused_by_name),
        cmocka_unit_test(what_was_loaded_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
