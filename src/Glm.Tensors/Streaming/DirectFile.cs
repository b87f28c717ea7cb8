using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Glm.Tensors;

/// <summary>
/// A file that is read past the system's cache, so that weights which pass through memory once per token do not push everything else out of it. Where a
/// file system or a system does not know how, it is read in the ordinary way.
/// </summary>
internal sealed unsafe partial class DirectFile : IDisposable
{
    /// <summary>Positions, lengths and memory are multiples of this.</summary>
    public const int Alignment = 4096;

    private const int ReadOnly = 0, CloseOnExec = 0x80000, DirectX64 = 0x4000, DirectArm64 = 0x10000;

    private readonly SafeFileHandle _handle;

    private DirectFile(string path, SafeFileHandle handle, bool isDirect)
    {
        Path = path;
        IsDirect = isDirect;
        _handle = handle;
        Length = RandomAccess.GetLength(handle);
    }

    public string Path { get; }

    /// <summary>Whether the system's cache is passed by.</summary>
    public bool IsDirect { get; }

    /// <summary>Size in bytes.</summary>
    public long Length { get; }

    /// <exception cref="GlmException">The file cannot be read.</exception>
    public static DirectFile Open(string path)
    {
        try
        {
            if (OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64)
            {
                int direct = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? DirectX64 : DirectArm64;
                int descriptor = OpenDescriptor(path, ReadOnly | CloseOnExec | direct);
                if (descriptor >= 0) return new DirectFile(path, new SafeFileHandle(descriptor, ownsHandle: true), isDirect: true);
            }
            return new DirectFile(path, File.OpenHandle(path), isDirect: false);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Reads the bytes from <paramref name="offset"/> on into <paramref name="target"/>, which ends where the file does or later.</summary>
    /// <exception cref="GlmException">The file is shorter than <paramref name="wanted"/> from there on, or cannot be read.</exception>
    public void Read(long offset, byte* target, int bytes, int wanted)
    {
        try
        {
            for (int done = 0; done < wanted;)
            {
                int count = RandomAccess.Read(_handle, new Span<byte>(target + done, bytes - done), offset + done);
                if (count == 0) throw new GlmException($"{Path}: expected {wanted - done} more bytes at {offset + done}, found the end of the file");
                done += count;
                if (done < wanted && done % Alignment != 0) throw new GlmException($"{Path}: expected {wanted} bytes at {offset}, found {done}");
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{Path}: cannot be read at byte {offset}: {error.Message}", error);
        }
    }

    public void Dispose() => _handle.Dispose();

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenDescriptor(string path, int flags);
}
