#include <string.h>

#include "base/auto.h"
#include "guest/image/entry_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(text) char  *name = strndup((const char *) data, size);
    struct entry_path p;
    struct err        err;

    if (!name || !entry_path_read(name, &p, &err))
        return 0;
    if (p.parent[0] == '/' || p.base[0] == '/' || strchr(p.base, '/') || strlen(p.base) > TAR_COMPONENT_MAX)
        __builtin_trap();
    if (strcmp(p.base, ".") == 0 || strcmp(p.base, "..") == 0 || strncmp(p.parent, "../", 3) == 0 ||
        strstr(p.parent, "/../") || strcmp(p.parent, "..") == 0)
        __builtin_trap();
    if ((p.depth == 0) != (p.base[0] == '\0') || (p.depth > 1) != (p.parent[0] != '\0'))
        __builtin_trap();
    return 0;
}
