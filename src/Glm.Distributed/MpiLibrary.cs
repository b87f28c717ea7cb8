using System.Runtime.InteropServices;

namespace Glm.Distributed;

/// <summary>The few functions of OpenMPI that <see cref="MpiLink"/> needs. Its handles are addresses of objects in the library.</summary>
internal static class MpiLibrary
{
    public const int Success = 0, ThreadSerialized = 2;
    private const string Name = "mpi", System = "libc";
    private const int Now = 2, Global = 0x100; // RTLD_NOW, RTLD_GLOBAL
    private static readonly string[] Files = ["libmpi.so.40", "libmpi.so"];
    private static readonly Lazy<nint> Handle = new(Load);

    static MpiLibrary() => NativeLibrary.SetDllImportResolver(typeof(MpiLibrary).Assembly, (name, _, _) => name == Name ? Handle.Value : 0);

    /// <summary>The communicator of all ranks.</summary>
    public static nint World => NativeLibrary.GetExport(Handle.Value, "ompi_mpi_comm_world");

    /// <summary>The data type of bytes, as which everything travels.</summary>
    public static nint Byte => NativeLibrary.GetExport(Handle.Value, "ompi_mpi_byte");

    /// <summary>Sets what the library reads from the environment, unless the user has: .NET's own variables do not reach native code.</summary>
    public static void SetDefault(string variable, string value) => _ = SetEnvironment(variable, value, 0);

    /// <summary>Makes functions return errors in place of ending the process.</summary>
    public static int ReturnErrors() => SetErrorHandler(World, NativeLibrary.GetExport(Handle.Value, "ompi_mpi_errors_return"));

    [DllImport(Name, EntryPoint = "MPI_Init_thread")]
    public static extern int Initialize(nint argumentCount, nint arguments, int required, out int provided);

    [DllImport(Name, EntryPoint = "MPI_Finalize")]
    public static extern int Complete();

    [DllImport(Name, EntryPoint = "MPI_Abort")]
    public static extern int Abort(nint communicator, int code);

    [DllImport(Name, EntryPoint = "MPI_Comm_rank")]
    public static extern int Rank(nint communicator, out int rank);

    [DllImport(Name, EntryPoint = "MPI_Comm_size")]
    public static extern int Size(nint communicator, out int size);

    [DllImport(Name, EntryPoint = "MPI_Isend")]
    public static extern int Send(nint buffer, int count, nint type, int peer, int tag, nint communicator, out nint request);

    [DllImport(Name, EntryPoint = "MPI_Irecv")]
    public static extern int Receive(nint buffer, int count, nint type, int peer, int tag, nint communicator, out nint request);

    [DllImport(Name, EntryPoint = "MPI_Test")]
    public static extern int Test(ref nint request, out int done, nint status);

    [DllImport(Name, EntryPoint = "MPI_Cancel")]
    public static extern int Cancel(ref nint request);

    [DllImport(Name, EntryPoint = "MPI_Request_free")]
    public static extern int Free(ref nint request);

    [DllImport(Name, EntryPoint = "MPI_Comm_set_errhandler")]
    private static extern int SetErrorHandler(nint communicator, nint handler);

    [DllImport(System, EntryPoint = "setenv")]
    private static extern int SetEnvironment(string name, string value, int overwrite);

    [DllImport(System, EntryPoint = "dlopen")]
    private static extern nint Open(string file, int flags);

    /// <summary>The library opens plug-ins that look for its symbols, so these must be global, which <see cref="NativeLibrary.Load(string)"/> does not make them.</summary>
    private static nint Load()
    {
        foreach (string file in Files)
            if (Open(file, Now | Global) is not 0 and var handle) return handle;
        throw new GlmException($"MPI: expected {Files[0]} of OpenMPI 4, found none (apt install openmpi-bin)");
    }
}
