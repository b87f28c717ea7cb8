namespace Glm.Tokenizers;

/// <summary>Facts about UTF-8 that encoding needs.</summary>
internal static class Utf8
{
    /// <summary>Number of bytes of the character whose first byte is <paramref name="first"/>; 1 for a continuation byte.</summary>
    public static int LengthAt(byte first) => first switch
    {
        < 0xC0 => 1,
        < 0xE0 => 2,
        < 0xF0 => 3,
        _ => 4,
    };
}
