using System.Collections.Concurrent;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Glm.Server;

/// <summary>Who sends a request, and what that one may still do. Safe for use from several threads.</summary>
internal sealed class Caller(string name, KeyOptions? limits)
{
    private readonly Lock _lock = new();
    private int _running;
    private double _left = limits?.RequestsPerMinute ?? 0;
    private long _filled = Stopwatch.GetTimestamp();

    public string Name { get; } = name;

    public int Priority { get; } = limits?.Priority ?? 0;

    /// <summary>Begins a request; disposing what is returned ends it.</summary>
    /// <exception cref="ApiException">There are too many at the same time, or in a minute.</exception>
    public IDisposable Begin()
    {
        lock (_lock)
        {
            if (_running >= limits?.Concurrency)
                throw ApiException.TooMany($"at most {limits.Concurrency} requests at the same time are allowed for this key", "concurrency_exceeded", TimeSpan.FromSeconds(1));
            if (limits?.RequestsPerMinute is { } rate)
            {
                _left = Math.Min(rate, _left + Stopwatch.GetElapsedTime(_filled).TotalMinutes * rate);
                _filled = Stopwatch.GetTimestamp();
                if (_left < 1) throw ApiException.TooMany($"at most {rate} requests a minute are allowed for this key", "rate_limit_exceeded", TimeSpan.FromMinutes((1 - _left) / rate));
                _left--;
            }
            _running++;
        }
        return new Running(this);
    }

    private sealed class Running(Caller caller) : IDisposable
    {
        private Caller? _caller = caller;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _caller, null) is not { } ended) return;
            lock (ended._lock) ended._running--;
        }
    }
}

/// <summary>The keys that a server knows, as hashes.</summary>
internal sealed class ApiKeys
{
    private const int RememberedAddresses = 4096;

    private readonly (byte[] Hash, Caller Caller)[] _keys;
    private readonly ConcurrentDictionary<string, Caller> _addresses = new();

    public ApiKeys(IReadOnlyList<KeyOptions> keys) => _keys = [.. keys.Select(key => (Convert.FromHexString(key.Sha256), new Caller(key.Name, key)))];

    /// <summary>A new key, and the hash by which a server knows it.</summary>
    public static (string Key, string Sha256) Create()
    {
        string key = "glm-" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(24));
        return (key, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key))));
    }

    /// <summary>Who sends a request: the owner of its key, or where no keys are needed its address.</summary>
    /// <exception cref="ApiException">A key is needed, and it has none or a wrong one.</exception>
    public Caller Of(HttpContext http)
    {
        if (_keys.Length == 0)
        {
            if (_addresses.Count > RememberedAddresses) _addresses.Clear();
            return _addresses.GetOrAdd(http.Connection.RemoteIpAddress?.ToString() ?? "", address => new Caller(address, null));
        }
        string given = http.Request.Headers.Authorization.ToString();
        given = given.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? given[7..].Trim() : http.Request.Headers["X-Api-Key"].ToString();
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(given), hash);
        // Every key is looked at, so that the time tells nothing.
        Caller? found = null;
        foreach (var (known, caller) in _keys)
            if (CryptographicOperations.FixedTimeEquals(known, hash)) found = caller;
        return found ?? throw new ApiException(StatusCodes.Status401Unauthorized, "authentication_error",
            given.Length == 0 ? "an API key is needed: Authorization: Bearer KEY" : "the API key is not known", null, "invalid_api_key");
    }
}
