using System.Text;

namespace Glm.Tokenizers;

/// <summary>
/// GPT-2's way to write bytes as characters: printable Latin-1 bytes stand for themselves, the other 68 for U+0100, U+0101 and so on, in order (the
/// space is U+0120).
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Characters = Make();
    private static readonly Dictionary<char, byte> Bytes = Characters.Select((character, value) => (character, (byte)value)).ToDictionary(pair => pair.character, pair => pair.Item2);

    /// <summary>The character that stands for a byte.</summary>
    public static char CharacterOf(byte value) => Characters[value];

    /// <summary>Bytes in their alphabet.</summary>
    public static string Write(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        foreach (byte value in bytes) text.Append(Characters[value]);
        return text.ToString();
    }

    /// <summary>The bytes that a token stands for, or null if another character occurs in it.</summary>
    public static byte[]? Read(string token)
    {
        var bytes = new byte[token.Length];
        for (int i = 0; i < bytes.Length; i++)
            if (!Bytes.TryGetValue(token[i], out bytes[i])) return null;
        return bytes;
    }

    private static char[] Make()
    {
        var characters = new char[256];
        int others = 0;
        for (int value = 0; value < 256; value++)
            characters[value] = value is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE ? (char)value : (char)(0x100 + others++);
        return characters;
    }
}
