#include "runtime/cli/guest_bundle.h"

#include <limits.h>
#include <string.h>

#include "base/file.h"

/* Beside the program in a build folder; under share/ when it is installed. */
static const char *const places[] = { "/runtime/guest", "/../share/cloister/guest" };

static FALLIBLE find_directory(const char *asked, char **out, struct err *err)
{
    const char *named = asked ? asked : getenv("CLOISTER_GUEST");
    char        self[PATH_MAX];
    ssize_t     n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (named) {
        *out = strdup(named);
        return *out || fail_with(err, ERR_LIMIT, "out of memory");
    }
    self[n < 0 ? 0 : n] = 0;
    if (strrchr(self, '/'))
        *strrchr(self, '/') = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        AUTO(text) char *directory = NULL, *initrd = NULL;

        if (asprintf(&directory, "%s%s", self, places[i]) < 0 || asprintf(&initrd, "%s/initrd", directory) < 0)
            abort();
        if (access(initrd, R_OK) == 0) {
            *out = TAKE(directory);
            return true;
        }
    }
    return fail_with(err, ERR_NOT_FOUND, "no guest image found; build it (./demo does), or name one with --guest DIR");
}

static void choose(char **out, const char *asked, const char *directory, const char *name)
{
    if ((asked ? asprintf(out, "%s", asked) : asprintf(out, "%s/%s", directory, name)) < 0)
        abort();
}

static FALLIBLE read_command_line(const struct guest_bundle_options *options, const char *directory, char **out,
                                  struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    AUTO(text) char           *path = NULL;
    size_t                     len;

    choose(&path, NULL, directory, "cmdline");
    if (!file_read(path, VM_APPEND_MAX, &text, err))
        return false;
    len = strcspn(buffer_text(&text), "\n");
    if (asprintf(out, "cloister.tee=%s %.*s", tee_name(options->tee), (int) len, buffer_text(&text)) < 0)
        abort();
    return true;
}

FALLIBLE guest_bundle_find(const struct guest_bundle_options *options, struct guest_bundle *out, struct err *err)
{
    AUTO(guest_bundle) struct guest_bundle found     = { 0 };
    AUTO(text) char                       *directory = NULL;

    if (!find_directory(options->directory, &directory, err))
        return false;
    choose(&found.firmware, options->firmware, directory, "firmware");
    choose(&found.kernel, options->kernel, directory, "kernel");
    choose(&found.initrd, options->initrd, directory, "initrd");
    if (options->append)
        choose(&found.append, options->append, NULL, NULL);
    else if (!read_command_line(options, directory, &found.append, err))
        return false;
    *out = TAKE(found);
    return true;
}

void guest_bundle_free(struct guest_bundle *bundle)
{
    free(bundle->firmware);
    free(bundle->kernel);
    free(bundle->initrd);
    free(bundle->append);
    *bundle = (struct guest_bundle){ 0 };
}
