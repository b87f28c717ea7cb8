using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Glm.Hub;

/// <summary>A file of a repository, as the hub lists it.</summary>
/// <param name="Path">Name below the root of the repository, with forward slashes; what the hub says, until <see cref="FileNames"/> has seen it.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Hash">What the bytes hash to.</param>
internal sealed record HubFile(string Path, long Size, HubHash Hash)
{
    /// <summary>Whether the file at <paramref name="path"/> is this one, byte for byte.</summary>
    public bool IsAt(string path, CancellationToken cancellation)
    {
        using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.SequentialScan);
        return RandomAccess.GetLength(handle) == Size && Hash.Of(handle, cancellation) == Hash.Hex;
    }
}

/// <summary>The hash by which a hub names content: SHA-256 of large files (LFS), SHA-1 of git's blob of small ones.</summary>
internal sealed record HubHash(HashAlgorithmName Algorithm, string Hex)
{
    private const int BufferBytes = 1 << 20;

    /// <summary>The hash in this algorithm of a whole file, lower-case hexadecimal.</summary>
    public string Of(SafeFileHandle file, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(Algorithm);
        if (Algorithm == HashAlgorithmName.SHA1) hash.AppendData(System.Text.Encoding.ASCII.GetBytes($"blob {RandomAccess.GetLength(file)}\0"));
        var buffer = new byte[BufferBytes];
        long at = 0;
        for (int read; (read = RandomAccess.Read(file, buffer, at)) > 0; at += read)
        {
            cancellation.ThrowIfCancellationRequested();
            hash.AppendData(buffer, 0, read);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
