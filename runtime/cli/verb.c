#include "runtime/cli/verb.h"

#include <stdio.h>

int verb_refuse(const char *command, const char *word, const char *wanted)
{
    if (word)
        fprintf(stderr, "cloister: %s: there is no \"%.40s\"; wanted is %s\n", command, word, wanted);
    else
        fprintf(stderr, "cloister: %s: wanted is %s\n", command, wanted);
    return VERB_UNUSABLE;
}
