using System.Net;
using Microsoft.AspNetCore.Http;

namespace Glm.Server;

/// <summary>What keeps pages of other sites out, and scripts of others out of our page.</summary>
internal static class SecurityHeaders
{
    private const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public static void Add(HttpResponse response)
    {
        response.Headers.ContentSecurityPolicy = Policy;
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers["Cross-Origin-Opener-Policy"] = "same-origin";
        response.Headers["Cross-Origin-Resource-Policy"] = "same-origin";
    }

    /// <summary>
    /// Refuses requests that are addressed to a name which is not this server's, so that a page of another site cannot reach a local server by giving itself a name
    /// that leads here.
    /// </summary>
    public static void RequireHost(HttpRequest request, ServerOptions options)
    {
        string host = request.Host.Host;
        bool known = options.AllowedHosts.Contains("*") || options.AllowedHosts.Contains(host, StringComparer.OrdinalIgnoreCase)
            || host is "localhost" or "127.0.0.1" or "[::1]" || host == options.Host
            // Who listens at an address that others reach has one without a name, too.
            || (!IPAddress.IsLoopback(Address(options.Host)) && IPAddress.TryParse(host.Trim('[', ']'), out _));
        if (!known) throw new ApiException(StatusCodes.Status421MisdirectedRequest, "invalid_request_error", "Host: this server does not answer to that name (allowed_hosts)");
    }

    /// <summary>Allows the pages of some origins to call; answers their questions beforehand.</summary>
    public static bool AnswerOrigin(HttpContext http, ServerOptions options)
    {
        string origin = http.Request.Headers.Origin.ToString();
        if (origin.Length == 0 || !(options.AllowedOrigins.Contains(origin) || options.AllowedOrigins.Contains("*"))) return false;
        var headers = http.Response.Headers;
        headers.AccessControlAllowOrigin = origin;
        headers.Vary = "Origin";
        headers["Cross-Origin-Resource-Policy"] = "cross-origin";
        headers.AccessControlExposeHeaders = "Retry-After, X-Request-Id";
        if (!HttpMethods.IsOptions(http.Request.Method)) return false;
        headers.AccessControlAllowMethods = "GET, POST";
        headers.AccessControlAllowHeaders = "Authorization, Content-Type, X-Api-Key";
        headers.AccessControlMaxAge = "600";
        http.Response.StatusCode = StatusCodes.Status204NoContent;
        return true;
    }

    /// <summary>The address of an option, of which <c>localhost</c> and <c>*</c> are words.</summary>
    public static IPAddress Address(string host) => host switch
    {
        "localhost" => IPAddress.Loopback,
        "*" => IPAddress.IPv6Any,
        _ => IPAddress.TryParse(host, out var address) ? address : throw new GlmException($"host: expected an address such as 127.0.0.1 or 0.0.0.0, found {host}"),
    };
}
