using System.Buffers.Binary;

namespace Glm.Formats;

/// <summary>The checksum of zip archives: CRC-32 of the reflected polynomial 0xEDB88320, eight bytes at a time.</summary>
internal static class Crc32
{
    private const int Slices = 8;

    private static readonly uint[] Table = MakeTable();

    /// <summary>The checksum of what <paramref name="crc"/> is the checksum of, followed by these bytes.</summary>
    public static uint Append(uint crc, ReadOnlySpan<byte> bytes)
    {
        crc = ~crc;
        for (; bytes.Length >= Slices; bytes = bytes[Slices..])
        {
            ulong word = BinaryPrimitives.ReadUInt64LittleEndian(bytes) ^ crc;
            crc = 0;
            for (int i = 0; i < Slices; i++) crc ^= Table[(Slices - 1 - i) << 8 | (byte)(word >> 8 * i)];
        }
        foreach (byte value in bytes) crc = crc >> 8 ^ Table[(byte)(crc ^ value)];
        return ~crc;
    }

    /// <summary>Entry [s, b] is the remainder of byte b followed by s zero bytes.</summary>
    private static uint[] MakeTable()
    {
        uint[] table = new uint[Slices << 8];
        for (int i = 0; i < table.Length; i++)
        {
            uint value = i < 256 ? (uint)i : table[i - 256];
            for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (0xEDB88320 & (0 - (value & 1)));
            table[i] = value;
        }
        return table;
    }
}
