using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Glm.Training;

/// <summary>
/// The file of token ids: a header of 64 bytes (magic, version and bytes of an id as int32, vocabulary size and count of ids as
/// int64, zeros), then the ids as uint16 or int32; everything little-endian.
/// </summary>
internal static class ShardFile
{
    public const int HeaderBytes = 64;

    private const int Version = 1;

    private static ReadOnlySpan<byte> Magic => "GLMTOKEN"u8;

    /// <summary>Name of a shard.</summary>
    public static string Name(int index) => $"shard-{index:D5}.bin";

    /// <summary>The header of a file.</summary>
    public static byte[] Header(int idBytes, int vocabularySize, long tokens)
    {
        var header = new byte[HeaderBytes];
        Magic.CopyTo(header);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(12), idBytes);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(16), vocabularySize);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(24), tokens);
        return header;
    }

    /// <summary>Writes ids as they are stored.</summary>
    public static void WriteIds(Stream stream, ReadOnlySpan<int> ids, int idBytes)
    {
        Span<byte> bytes = stackalloc byte[4096];
        int capacity = bytes.Length / idBytes;
        while (!ids.IsEmpty)
        {
            ReadOnlySpan<int> part = ids[..Math.Min(capacity, ids.Length)];
            for (int i = 0; i < part.Length; i++)
                if (idBytes == sizeof(ushort)) BinaryPrimitives.WriteUInt16LittleEndian(bytes[(2 * i)..], checked((ushort)part[i]));
                else BinaryPrimitives.WriteInt32LittleEndian(bytes[(4 * i)..], part[i]);
            stream.Write(bytes[..(part.Length * idBytes)]);
            ids = ids[part.Length..];
        }
    }

    /// <summary>Reads ids as they are stored.</summary>
    public static void ReadIds(SafeBuffer buffer, long index, Span<int> ids, int idBytes)
    {
        Span<ushort> halves = stackalloc ushort[2048];
        ulong offset = HeaderBytes + (ulong)index * (ulong)idBytes;
        if (idBytes == sizeof(int))
        {
            buffer.ReadSpan(offset, ids);
            return;
        }
        while (!ids.IsEmpty)
        {
            Span<ushort> part = halves[..Math.Min(halves.Length, ids.Length)];
            buffer.ReadSpan(offset, part);
            for (int i = 0; i < part.Length; i++) ids[i] = part[i];
            offset += (ulong)part.Length * sizeof(ushort);
            ids = ids[part.Length..];
        }
    }

    /// <summary>Hash of a stream from its beginning to its end, lower-case hexadecimal.</summary>
    public static string Hash(Stream stream, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[1 << 16];
        stream.Position = 0;
        for (int read; (read = stream.Read(buffer)) > 0; hash.AppendData(buffer, 0, read)) cancellation.ThrowIfCancellationRequested();
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
