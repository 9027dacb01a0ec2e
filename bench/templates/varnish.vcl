# Varnish as a cache of polls: one entry per path and request body, one request
# to the upstream at a time for each, fresh for {{.FreshFor}} s.
vcl 4.1;

import std;
import bodyaccess;

backend api {
    .host = "{{.Host}}";
    .port = "{{.Port}}";
}

sub vcl_recv {
    # Without these two lines a POST is passed on uncached.
    if (req.method == "POST" && std.cache_req_body(16KB)) {
        return (hash);
    }
}

sub vcl_hash {
    bodyaccess.hash_req_body();
}

sub vcl_backend_fetch {
    # Varnish makes a GET of everything that it may cache.
    set bereq.method = "POST";
    return (fetch);
}

sub vcl_backend_response {
    set beresp.ttl = {{.FreshFor}}s;
    set beresp.grace = 0s;
    set beresp.keep = 0s;
    return (deliver);
}
