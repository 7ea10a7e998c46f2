#include "guest/agent/on_demand.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const libraries[] = { "libtss2-esys.so.0", "libtss2-mu.so.0", "libtss2-rc.so.0", "libtss2-tctildr.so.0" };

/* And what these open themselves. */
static const char *const more[] = { "libtss2-sys.so.1", "libtss2-tcti-device.so.0" };

void *on_demand_find(const char *name)
{
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        void *library = dlopen(libraries[i], RTLD_NOW); /* the same one each time; it stays open */
        void *found   = library ? dlsym(library, name) : NULL;

        if (found)
            return found;
    }
    fprintf(stderr, "cloister-agent: %s: %s\n", name, dlerror());
    abort();
}

static void forget(const char *folder, const char *const *names, size_t n)
{
    char path[256];

    for (size_t i = 0; i < n; i++) {
        (void) snprintf(path, sizeof path, "%s/%s", folder, names[i]); /* a cut path is none of theirs */
        (void) !unlink(path);
    }
}

void on_demand_forget(const char *folder)
{
    forget(folder, libraries, sizeof libraries / sizeof *libraries);
    forget(folder, more, sizeof more / sizeof *more);
}
