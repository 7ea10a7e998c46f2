#include "keys/broker/initdata_claims.h"

#include <string.h>

#include "base/toml.h"

static const char POLICY_DATA[] = "policy_data := {";

/*
 * The data of a generated policy: from the brace of the one line that begins with "policy_data := {" to the end of the
 * text, if that is JSON. A text where two lines begin so says nothing: which of them counts would be a guess.
 */
static struct json_object *policy_data(const char *rego)
{
    struct json_object *data  = NULL;
    const char         *found = NULL;
    struct err          ignored; /* what is no JSON is no data */

    for (const char *line = rego; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, POLICY_DATA, sizeof POLICY_DATA - 1) != 0)
            continue;
        if (found)
            return NULL;
        found = line + sizeof POLICY_DATA - 2;
    }
    return found && json_read(bytes_of_text(found), KBS_INITDATA_TEXT_MAX, &data, &ignored) ? data : NULL;
}

static struct json_object *toml_parsed(const char *text)
{
    struct json_object *parsed = NULL;
    struct err          ignored; /* text that is no TOML stays text */

    return toml_read(bytes_of_text(text), &parsed, &ignored) ? parsed : NULL;
}

struct json_object *initdata_claims(const struct initdata *initdata)
{
    struct json_object *claims = json_object_new_object();

    json_object_object_foreach(initdata->entries, name, value)
    {
        const char         *text   = json_object_get_string(value);
        bool                is_toml = strcmp(name, "aa.toml") == 0 || strcmp(name, "cdh.toml") == 0;
        bool                is_rego = strcmp(name, "policy.rego") == 0;
        struct json_object *read    = is_toml ? toml_parsed(text) : is_rego ? policy_data(text) : NULL;

        if (read)
            json_add(claims, is_rego ? "agent_policy_claims" : name, read);
        else
            json_add(claims, name, json_object_get(value));
    }
    return claims;
}
