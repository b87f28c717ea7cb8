using System.Globalization;

namespace Glm.Evaluation;

/// <summary>A setting of Ada-LEval: the length of prompts, such as 1k or 128k tokens.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Tokens">The length.</param>
public readonly record struct LengthSetting(string Name, int Tokens)
{
    /// <summary>Reads a setting.</summary>
    /// <exception cref="GlmException">It is none.</exception>
    public static LengthSetting Parse(string name) =>
        name.EndsWith('k') && int.TryParse(name[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out int thousands) && thousands is > 0 and <= 1024 ? new LengthSetting(name, 1000 * thousands)
        : throw new GlmException($"setting: expected a length such as 2k or 128k, found {name}");
}
