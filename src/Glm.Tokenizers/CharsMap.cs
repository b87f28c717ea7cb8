using System.Buffers.Binary;

namespace Glm.Tokenizers;

/// <summary>
/// SentencePiece's <c>precompiled_charsmap</c>: the length of a trie in bytes (uint32), the trie, then the replacement strings,
/// each ended by a zero byte. The trie is a Darts double array of uint32: bits 0-7 label, bit 8 "a value follows", bit 9 wide
/// offset, bits 10-30 offset to the children; a value is an offset into the strings. The bytes may come from anywhere: every
/// access is checked, and each step consumes one byte of text.
/// </summary>
internal sealed class CharsMap
{
    /// <summary>Real rules write a few dozen bytes; a bound keeps a hostile file from making short texts enormous.</summary>
    private const int MaximumReplacement = 1024;

    private readonly uint[] _units;
    private readonly byte[] _strings;

    /// <summary>Reads the map.</summary>
    /// <exception cref="GlmException">Its parts do not fit together.</exception>
    public CharsMap(ReadOnlySpan<byte> map, string file)
    {
        uint size = map.Length < 4 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(map);
        if (size == 0 || size % 4 != 0 || size > (uint)map.Length - 4)
            throw new GlmException($"{file}: NormalizerSpec.precompiled_charsmap: expected a trie of whole 4-byte units within {map.Length} bytes, found a length of {size}");
        _units = new uint[size / 4];
        for (int i = 0; i < _units.Length; i++)
            _units[i] = BinaryPrimitives.ReadUInt32LittleEndian(map[(4 + 4 * i)..]);
        _strings = map[(4 + (int)size)..].ToArray();
        for (int start = 0, length; start < _strings.Length; start += length + 1)
        {
            length = StringAt((uint)start).Length;
            if (length > MaximumReplacement)
                throw new GlmException($"{file}: NormalizerSpec.precompiled_charsmap: expected replacements of at most {MaximumReplacement} bytes, found {length}");
        }
    }

    /// <summary>
    /// Finds the longest rule that <paramref name="text"/> begins with: the number of bytes it replaces (0 for none) and what by.
    /// </summary>
    public int Match(ReadOnlySpan<byte> text, out ReadOnlySpan<byte> replacement)
    {
        int longest = 0;
        uint found = 0;
        uint position = Offset(_units[0]);
        for (int i = 0; i < text.Length; i++)
        {
            position ^= text[i];
            if (position >= _units.Length) break;
            uint unit = _units[position];
            if ((unit & 0x800000FF) != text[i]) break;
            position ^= Offset(unit);
            if ((unit & 0x100) == 0) continue;
            if (position >= _units.Length) break;
            longest = i + 1;
            found = _units[position] & 0x7FFFFFFF;
        }
        replacement = longest > 0 ? StringAt(found) : default;
        return longest;
    }

    private static uint Offset(uint unit) => (unit >> 10) << (int)((unit & 0x200) >> 6);

    // Outside the pool there is the empty string.
    private ReadOnlySpan<byte> StringAt(uint offset)
    {
        if (offset >= _strings.Length) return default;
        ReadOnlySpan<byte> rest = _strings.AsSpan((int)offset);
        int end = rest.IndexOf((byte)0);
        return end < 0 ? rest : rest[..end];
    }
}
