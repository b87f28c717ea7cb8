using System.Globalization;
using System.Text;

namespace Glm.Tokenizers;

/// <summary>How the icetk of 2023 and ChatGLM-6B write whitespace before SentencePiece sees it (spec 2.4).</summary>
internal static class IceWhitespace
{
    public const int NewlinePiece = 4, LongestBlank = 80;

    /// <summary>A newline becomes <c>&lt;n&gt;</c>, a tab <c>&lt;|tab|&gt;</c>, and a run of spaces <c>&lt;|blank_N|&gt;</c>, as if the longest runs were replaced first.</summary>
    public static string Escape(ReadOnlySpan<char> text)
    {
        var escaped = new StringBuilder(text.Length);
        for (int length; !text.IsEmpty; text = text[length..])
        {
            int spaces = text[..Math.Min(text.Length, LongestBlank)] is var next && next.IndexOfAnyExcept(' ') is >= 0 and int end ? end : next.Length;
            length = Math.Max(spaces, 1);
            if (spaces > 1) escaped.Append(CultureInfo.InvariantCulture, $"<|blank_{spaces}|>");
            else if (text[0] == '\n') escaped.Append("<n>");
            else if (text[0] == '\t') escaped.Append("<|tab|>");
            else escaped.Append(text[0]);
        }
        return escaped.ToString();
    }
}
